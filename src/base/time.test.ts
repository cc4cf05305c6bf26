import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { formatNanos, nowNanos, parseDuration, parseTimestamp, parseUnixTime } from './time.ts';

test('formatNanos() drops trailing zeros as Go does', () => {
  assert.equal(formatNanos(0n), '1970-01-01T00:00:00Z');
  assert.equal(formatNanos(1_500_000_000n), '1970-01-01T00:00:01.5Z');
  assert.equal(formatNanos(1_732_180_000_123_456_789n), '2024-11-21T09:06:40.123456789Z');
});

test('parseTimestamp() reads back what formatNanos() wrote', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: 0n, max: 4_000_000_000_000_000_000n }), (nanos) => {
      assert.equal(parseTimestamp(formatNanos(nanos)), nanos);
    }),
  );
  assert.equal(parseTimestamp('2024-11-21T10:06:40+01:00'), 1_732_180_000_000_000_000n);
  assert.equal(parseTimestamp('yesterday'), undefined);
});

test('parseUnixTime() reads seconds with a fraction', () => {
  assert.equal(parseUnixTime('1136073600.000000001'), 1_136_073_600_000_000_001n);
  assert.equal(parseUnixTime('5'), 5_000_000_000n);
  assert.equal(parseUnixTime('2024-11-21T09:06:40Z'), 1_732_180_000_000_000_000n);
  const midnight = BigInt(new Date(2024, 10, 21).getTime()) * 1_000_000n;
  for (const text of ['2024-11-21', '2024-11-21T00', '2024-11-21T00:00', '2024-11-21T00:00:00']) {
    assert.equal(parseUnixTime(text), midnight);
  }
  for (const text of ['soon', '', '1d', '2024-13-01']) {
    assert.throws(() => parseUnixTime(text), {
      message: `failed to parse value as time or duration: "${text}"`,
    });
  }
});

test('parseUnixTime() takes a duration for a time before now', () => {
  const moment = parseUnixTime('1h30m');
  const ago = nowNanos() - moment;
  assert.ok(ago >= 5_400_000_000_000n && ago < 5_460_000_000_000n);
});

test('parseDuration() reads what Go writes', () => {
  const cases: [string, bigint | undefined][] = [
    ['1h30m', 5_400_000_000_000n],
    ['1.5s', 1_500_000_000n],
    ['-2ms', -2_000_000n],
    ['0', 0n],
    ['5', undefined],
    ['', undefined],
    ['1h ', undefined],
  ];
  for (const [text, nanos] of cases) assert.equal(parseDuration(text), nanos, text);
});

test('nowNanos() never gives the same moment twice', () => {
  let before = nowNanos();
  for (let i = 0; i < 1000; i += 1) {
    const now = nowNanos();
    assert.ok(now > before);
    before = now;
  }
});
