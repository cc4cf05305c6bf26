import assert from 'node:assert/strict';
import { test } from 'node:test';
import { jsonFileRotation, localRotation, type Rotation } from './rotation.ts';

const MB = 1_000_000;
const DEFAULT = { maxSize: 20 << 20, maxFiles: 5, compress: false };

test('jsonFileRotation() rotates where nothing was said, and keeps to what was', () => {
  const cases: [Record<string, string>, Rotation][] = [
    [{}, DEFAULT],
    [{ 'max-size': '10m' }, { maxSize: 10 * MB, maxFiles: 1, compress: false }],
    [
      { 'max-size': '10m', 'max-file': '3' },
      { maxSize: 10 * MB, maxFiles: 3, compress: false },
    ],
    [{ 'max-file': '3' }, { ...DEFAULT, maxFiles: 3 }],
    [{ 'max-size': '-1' }, { maxFiles: 1, compress: false }],
    [
      { 'max-size': '1k', 'max-file': '2', compress: 'true' },
      { maxSize: 1000, maxFiles: 2, compress: true },
    ],
    [{ compress: 'true' }, { ...DEFAULT, compress: true }],
  ];
  for (const [options, rotation] of cases) assert.deepEqual(jsonFileRotation(options), rotation);
});

test("jsonFileRotation() refuses in the words of Docker's driver", () => {
  const compress = 'compress cannot be true when max-file is less than 2 or max-size is not set';
  const cases: [Record<string, string>, string][] = [
    [{ 'max-size': 'x' }, "invalid size: 'x'"],
    [{ 'max-size': '0' }, 'max-size must be a positive number'],
    [{ 'max-file': '0' }, 'max-file cannot be less than 1'],
    [{ 'max-file': 'x' }, 'strconv.Atoi: parsing "x": invalid syntax'],
    [{ compress: 'x' }, 'strconv.ParseBool: parsing "x": invalid syntax'],
    [{ compress: 'true', 'max-file': '1' }, compress],
    [{ compress: 'true', 'max-size': '-1', 'max-file': '3' }, compress],
  ];
  for (const [options, message] of cases) assert.throws(() => jsonFileRotation(options), { message });
});

test('localRotation() compresses where nothing was said, and reads the options of caches too', () => {
  const cases: [Record<string, string>, string, Rotation][] = [
    [{}, '', { ...DEFAULT, compress: true }],
    [{ 'max-size': '-1' }, '', { maxFiles: 5, compress: true }],
    [{ 'max-file': '1', compress: 'false' }, '', { ...DEFAULT, maxFiles: 1 }],
    [
      { 'cache-max-size': '1m', 'cache-max-file': '2', 'cache-compress': '0' },
      'cache-',
      { maxSize: MB, maxFiles: 2, compress: false },
    ],
  ];
  for (const [options, prefix, rotation] of cases) assert.deepEqual(localRotation(options, prefix), rotation);
});

test("localRotation() refuses in the words of Docker's driver", () => {
  const cases: [Record<string, string>, string][] = [
    [{ 'max-size': 'x' }, "invalid value for max-size: x: invalid size: 'x'"],
    [{ 'max-file': 'x' }, 'invalid value for max-file: x: strconv.Atoi: parsing "x": invalid syntax'],
    [{ 'max-file': '-1' }, 'max-file must not be negative'],
    [{ 'max-file': '1' }, 'compression cannot be enabled when max file count is 1'],
    [{ compress: 'x' }, 'invalid boolean value for compress: strconv.ParseBool: parsing "x": invalid syntax'],
  ];
  for (const [options, message] of cases) assert.throws(() => localRotation(options), { message });
});
