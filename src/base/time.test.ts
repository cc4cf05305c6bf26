import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { formatNanos, nowNanos, parseTimestamp, parseUnixTime } from './time.ts';

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
  assert.throws(() => parseUnixTime('soon'), /"soon"/);
});

test('nowNanos() never gives the same moment twice', () => {
  let before = nowNanos();
  for (let i = 0; i < 1000; i += 1) {
    const now = nowNanos();
    assert.ok(now > before);
    before = now;
  }
});
