import assert from 'node:assert/strict';
import { test } from 'node:test';
import { goDuration } from '#/base/time.ts';
import { naturalOrder } from './natural-order.ts';
import { binarySize, decimalSize, goTime, humanDuration, significant } from './units.ts';

test('decimalSize() and binarySize() show sizes as docker does', () => {
  const sizes: [number, string, string][] = [
    [0, '0B', '0B'],
    [999, '999B', '999B'],
    [1000, '1kB', '1e+03B'],
    [1024, '1.02kB', '1KiB'],
    [1_234_567, '1.23MB', '1.18MiB'],
    [7_090_000, '7.09MB', '6.76MiB'],
    [999_999, '1e+03kB', '977KiB'],
    [123_456_789_012, '123GB', '115GiB'],
  ];
  for (const [bytes, decimal, binary] of sizes) {
    assert.equal(decimalSize(bytes, 3), decimal);
    assert.equal(binarySize(bytes, 3), binary);
  }
  assert.equal(decimalSize(1_984_123), '1.984MB');
  assert.equal(binarySize(25_274_843_136), '23.54GiB');
});

test("significant() follows Go's %g", () => {
  assert.equal(significant(0.0001234, 3), '0.000123');
  assert.equal(significant(0.00001234, 3), '1.23e-05');
  assert.equal(significant(100, 4), '100');
  assert.equal(significant(123_456, 4), '1.235e+05');
});

test('humanDuration() rounds as docker does', () => {
  const cases: [number, string][] = [
    [0.5, 'Less than a second'],
    [1.9, '1 second'],
    [59, '59 seconds'],
    [60, 'About a minute'],
    [119, 'About a minute'],
    [120, '2 minutes'],
    [59 * 60, '59 minutes'],
    [3600, 'About an hour'],
    [5399, 'About an hour'],
    [5400, '2 hours'],
    [47 * 3600, '47 hours'],
    [48 * 3600, '2 days'],
    [13 * 86_400, '13 days'],
    [14 * 86_400, '2 weeks'],
    [60 * 86_400, '2 months'],
    [730 * 86_400, '2 years'],
  ];
  for (const [seconds, text] of cases) assert.equal(humanDuration(seconds), text);
});

test('goDuration() and goTime() print what Go prints', () => {
  assert.deepEqual([0, 1500, 2.5e6, 5e9, 90e9, 3600e9, 3661.5e9, -1e9].map(goDuration), [
    '0s',
    '1.5µs',
    '2.5ms',
    '5s',
    '1m30s',
    '1h0m0s',
    '1h1m1.5s',
    '-1s',
  ]);
  assert.equal(goTime('2024-05-01T12:00:00.5Z'), '2024-05-01 12:00:00.5 +0000 UTC');
  assert.equal(goTime('2024-05-01T12:00:00Z'), '2024-05-01 12:00:00 +0000 UTC');
});

test('naturalOrder() compares numbers as numbers', () => {
  assert.deepEqual(['a10', 'b1', 'a2', 'a', 'a2b'].sort(naturalOrder), ['a', 'a2', 'a2b', 'a10', 'b1']);
});
