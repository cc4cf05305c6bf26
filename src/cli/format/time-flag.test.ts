import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseTimeFlag } from './time-flag.ts';

const NOW = Date.UTC(2024, 4, 1, 12, 0, 0);

test('parseTimeFlag() takes durations, moments and seconds', () => {
  const seconds = NOW / 1000;
  assert.equal(parseTimeFlag('42m', NOW), String(seconds - 42 * 60));
  assert.equal(parseTimeFlag('1.5s', NOW), String(seconds - 2));
  assert.equal(parseTimeFlag('2024-05-01T12:00:00Z'), `${seconds}.000000000`);
  assert.equal(parseTimeFlag('2024-05-01T12:00:00.123456789Z'), `${seconds}.123456789`);
  assert.equal(parseTimeFlag('2024-05-01T14:00:00+02:00'), `${seconds}.000000000`);
  assert.equal(parseTimeFlag('0'), '0');
  assert.equal(parseTimeFlag('1136073845.000000001'), '1136073845.000000001');
  assert.equal(parseTimeFlag('2024-05-01'), `${new Date(2024, 4, 1).getTime() / 1000}.000000000`);
  assert.equal(
    parseTimeFlag('2024-05-01T10:30'),
    `${new Date(2024, 4, 1, 10, 30).getTime() / 1000}.000000000`,
  );
});

test("parseTimeFlag() refuses the rest in docker's words", () => {
  assert.throws(() => parseTimeFlag('yesterday'), {
    message: 'failed to parse value as time or duration: "yesterday"',
  });
});
