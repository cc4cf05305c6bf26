import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { frame, FrameError, FrameReader, OPCODES } from './websocket-frames.ts';

/** A client's frame: masked. */
function masked(opcode: number, payload: Buffer, mask = Buffer.from([1, 2, 3, 4])): Buffer {
  const bytes = frame(opcode, payload);
  const start = bytes.length - payload.length;
  bytes[1] = (bytes[1] ?? 0) | 0x80;
  const hidden = payload.map((byte, index) => byte ^ (mask[index % 4] ?? 0));
  return Buffer.concat([bytes.subarray(0, start), mask, hidden]);
}

test('FrameReader gives back what was sent, however it is cut into pieces', () => {
  const messages = fc.array(fc.uint8Array({ maxLength: 70_000 }), { maxLength: 4 });
  fc.assert(
    fc.property(messages, fc.integer({ min: 1, max: 5000 }), (payloads, size) => {
      const bytes = Buffer.concat(payloads.map((payload) => masked(OPCODES.binary, Buffer.from(payload))));
      const reader = new FrameReader();
      const found: Buffer[] = [];
      for (let at = 0; at < bytes.length; at += size) {
        for (const { payload } of reader.push(bytes.subarray(at, at + size))) found.push(payload);
      }
      assert.deepEqual(Buffer.concat(found), Buffer.concat(payloads));
    }),
    { numRuns: 30 },
  );
});

test('FrameReader tells pings and closes whole, and keeps quiet about pongs', () => {
  const reader = new FrameReader();
  const bytes = Buffer.concat([
    masked(OPCODES.ping, Buffer.from('hi')),
    masked(OPCODES.pong, Buffer.from('ho')),
    masked(OPCODES.close, Buffer.from([3, 232])),
  ]);
  const events = [...bytes].flatMap((byte) => reader.push(Buffer.from([byte])));
  assert.deepEqual(
    events.map(({ kind, payload }) => `${kind} ${payload.toString('hex')}`),
    ['ping 6869', 'close 03e8'],
  );
});

test('FrameReader refuses what the protocol forbids', () => {
  const refused: [string, Buffer][] = [
    ['unmasked', frame(OPCODES.binary, Buffer.from('x'))],
    ['reserved bits', Buffer.from([0xc2, 0x80])],
    ['unknown opcode', Buffer.from([0x83, 0x80])],
    ['long ping', masked(OPCODES.ping, Buffer.alloc(126))],
    ['ping in parts', Buffer.from([0x09, 0x80])],
  ];
  for (const [what, bytes] of refused) assert.throws(() => new FrameReader().push(bytes), FrameError, what);
});
