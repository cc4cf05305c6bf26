import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DetachScanner, parseDetachKeys } from './detach-keys.ts';

test('parseDetachKeys() reads letters and control keys', () => {
  assert.deepEqual([...parseDetachKeys('')], [16, 17]);
  assert.deepEqual([...parseDetachKeys('ctrl-a,d,ctrl-@,ctrl-[,ctrl-_')], [1, 100, 0, 27, 31]);
  assert.throws(() => parseDetachKeys('foo'), {
    message: "invalid detach keys (foo): Unknown character: 'foo'",
  });
});

test('DetachScanner passes everything but the keys, whatever the pieces', () => {
  const type = (...pieces: string[]): [string, boolean] => {
    const scanner = new DetachScanner(parseDetachKeys('ctrl-p,ctrl-q'));
    let passed = '';
    let detached = false;
    for (const piece of pieces) {
      const result = scanner.scan(Buffer.from(piece));
      passed += result.pass.toString();
      detached ||= result.detached;
    }
    return [passed, detached];
  };
  assert.deepEqual(type('abc'), ['abc', false]);
  assert.deepEqual(type('ab\u0010\u0011'), ['ab', true]);
  assert.deepEqual(type('ab\u0010', '\u0011'), ['ab', true]);
  assert.deepEqual(type('\u0010', 'x'), ['\u0010x', false]);
  assert.deepEqual(type('\u0010\u0010\u0011'), ['\u0010', true]);
});
