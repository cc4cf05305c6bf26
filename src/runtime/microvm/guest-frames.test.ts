import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import {
  encodeCall,
  encodeGuestFrame,
  FRAME_LIMIT,
  GUEST_FRAME,
  type GuestFrame,
  GuestFrameParser,
  METHOD,
} from './guest-frames.ts';

test('GuestFrameParser finds the frames however the bytes are cut', () => {
  const frame = fc.record(
    {
      type: fc.nat(255),
      stream: fc.nat(0xffff),
      payload: fc.uint8Array({ maxLength: 30 }).map((bytes) => Buffer.from(bytes)),
    },
    { noNullPrototype: true },
  );
  fc.assert(
    fc.property(fc.array(frame, { maxLength: 5 }), fc.integer({ min: 1, max: 17 }), (frames, piece) => {
      const bytes = Buffer.concat(
        frames.map(({ type, stream, payload }) => encodeGuestFrame(type, stream, payload)),
      );
      const parser = new GuestFrameParser();
      const found: GuestFrame[] = [];
      for (let at = 0; at < bytes.length; at += piece)
        found.push(...parser.push(bytes.subarray(at, at + piece)));
      assert.deepEqual(found, frames);
    }),
  );
});

test('GuestFrameParser throws at a frame that is too long before it comes', () => {
  const header = Buffer.alloc(8);
  header.writeUInt32BE(FRAME_LIMIT + 1, 4);
  assert.throws(() => [...new GuestFrameParser().push(header)], /too long/);
});

test('encodeCall() spreads a long body over frames', () => {
  const body = Buffer.alloc(2 * FRAME_LIMIT, 'b');
  const frames = [...new GuestFrameParser().push(encodeCall(7, METHOD.run, body))];
  assert.deepEqual(
    frames.map(({ type }) => type),
    [GUEST_FRAME.call, GUEST_FRAME.body, GUEST_FRAME.body],
  );
  const [first, ...rest] = frames;
  assert.equal(first?.payload.readUInt8(0), METHOD.run);
  assert.equal(first?.payload.readUInt32BE(1), body.length);
  const parts = [first?.payload.subarray(5) ?? Buffer.alloc(0), ...rest.map(({ payload }) => payload)];
  assert.deepEqual(Buffer.concat(parts), body);
});
