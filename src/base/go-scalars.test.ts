import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseBool, parseByteSize, parseDecimal } from './go-scalars.ts';

test('parseByteSize() counts in the base it is told', () => {
  for (const [text, decimal, binary] of [
    ['10', 10, 10],
    ['10b', 10, 10],
    ['10k', 10_000, 10_240],
    ['1.5M', 1_500_000, 1_572_864],
    ['20 MB', 20_000_000, 20_971_520],
    ['1GiB', 1e9, 2 ** 30],
  ] as const) {
    assert.equal(parseByteSize(text, 1000), decimal, text);
    assert.equal(parseByteSize(text, 1024), binary, text);
  }
});

test("Go's scalars are refused in Go's words", () => {
  assert.throws(() => parseByteSize('-1', 1000), { message: "invalid size: '-1'" });
  assert.throws(() => parseByteSize('much', 1000), { message: "invalid size: 'much'" });
  assert.throws(() => parseByteSize('10x', 1000), { message: "invalid suffix: 'x'" });
  assert.throws(() => parseBool('yes'), { message: 'strconv.ParseBool: parsing "yes": invalid syntax' });
  assert.throws(() => parseDecimal('1.5'), { message: 'strconv.Atoi: parsing "1.5": invalid syntax' });
  assert.throws(() => parseDecimal('9'.repeat(30)), { message: /value out of range/ });
  assert.equal(parseDecimal('-3'), -3);
});
