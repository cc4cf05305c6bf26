import assert from 'node:assert/strict';
import { test } from 'node:test';

import { encodeFrame, FRAME, FrameParser } from './frames.ts';

test('FrameParser finds the same frames however the bytes are cut', () => {
  const bytes = Buffer.concat([
    encodeFrame(FRAME.hello, Buffer.from([2, 0, 0, 0, 1, 0, 0, 0, 2])),
    encodeFrame(FRAME.stdout, Buffer.from('hello world')),
    encodeFrame(FRAME.stdout),
    encodeFrame(FRAME.failed, Buffer.from('why')),
  ]);
  for (let size = 1; size <= bytes.length; size++) {
    const seen: [number, string][] = [];
    const parser = new FrameParser((type, payload) => {
      const last = seen.at(-1);
      if (type === FRAME.stdout && payload.length > 0 && last?.[0] === type) last[1] += payload.toString();
      else seen.push([type, payload.toString('latin1')]);
    });
    for (let at = 0; at < bytes.length; at += size) parser.push(bytes.subarray(at, at + size));
    assert.deepEqual(seen, [
      [FRAME.hello, '\u0002\0\0\0\u0001\0\0\0\u0002'],
      [FRAME.stdout, 'hello world'],
      [FRAME.stdout, ''],
      [FRAME.failed, 'why'],
    ]);
  }
});
