import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseSignal } from './signals.ts';

test('parseSignal() takes numbers and names in every spelling', () => {
  for (const [text, number] of [
    ['9', 9],
    ['KILL', 9],
    ['sigkill', 9],
    ['SIGTERM', 15],
    ['RTMIN', 34],
    ['SIGRTMIN+3', 37],
    ['RTMAX-1', 63],
    ['64', 64],
  ] as const) {
    assert.equal(parseSignal(text), number);
  }
});

test("parseSignal() refuses the rest in Docker's words", () => {
  for (const bad of ['0', '65', 'NOPE', '', '-1', '9x']) {
    assert.throws(() => parseSignal(bad), { kind: 'invalid', message: `invalid signal: ${bad}` });
  }
});
