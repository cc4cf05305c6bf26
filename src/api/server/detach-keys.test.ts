import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { DEFAULT_DETACH_KEYS, DetachWatch, parseDetachKeys } from './detach-keys.ts';

test('parseDetachKeys() reads characters and control keys', () => {
  assert.deepEqual([...parseDetachKeys(DEFAULT_DETACH_KEYS)], [16, 17]);
  assert.deepEqual([...parseDetachKeys('a,ctrl-@,ctrl-_')], [97, 0, 31]);
  for (const keys of ['ctrl-A', 'ab', '', 'ctrl-']) {
    assert.throws(() => parseDetachKeys(keys), { message: `Invalid detach keys (${keys}) provided` });
  }
});

test('DetachWatch.feed() holds back a beginning and gives it up when it was none', () => {
  const watch = new DetachWatch(parseDetachKeys(DEFAULT_DETACH_KEYS));
  assert.deepEqual([...watch.feed(Buffer.from([97, 16])).output], [97]);
  assert.deepEqual([...watch.feed(Buffer.from([98])).output], [16, 98]);
  assert.deepEqual([...watch.feed(Buffer.from([16, 16])).output], [16]);
  const last = watch.feed(Buffer.from([17, 99]));
  assert.deepEqual([[...last.output], last.detached], [[], true]);
});

test('DetachWatch.feed() loses no byte of input that has no detach keys, however it is cut', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 8 })), (chunks) => {
      const watch = new DetachWatch(Buffer.from([255, 254]));
      const input = chunks.map((chunk) => Buffer.from(chunk.map((byte) => byte & 0x7f)));
      const output = input.map((chunk) => watch.feed(chunk).output);
      assert.deepEqual(Buffer.concat(output), Buffer.concat(input));
    }),
  );
});
