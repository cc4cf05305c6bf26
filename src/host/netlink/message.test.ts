import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { addressBytes, formatAddress } from './address-format.ts';
import {
  attribute,
  decodeAttributes,
  decodeMessages,
  decodeText,
  encodeMessage,
  nested,
  text,
  u32,
} from './message.ts';

test('decodeMessages() gives back what encodeMessage() wrote, of any length and number', () => {
  const message = fc.record(
    {
      type: fc.integer({ min: 0, max: 0xffff }),
      flags: fc.integer({ min: 0, max: 0xffff }),
      sequence: fc.integer({ min: 0, max: 0xffffffff }),
      payload: fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)),
    },
    { noNullPrototype: true },
  );
  fc.assert(
    fc.property(fc.array(message, { maxLength: 5 }), (messages) => {
      assert.deepEqual([...decodeMessages(Buffer.concat(messages.map(encodeMessage)))], messages);
    }),
  );
});

test('decodeMessages() refuses a message longer than the datagram', () => {
  const whole = encodeMessage({ type: 1, flags: 2, sequence: 3, payload: Buffer.alloc(8) });
  assert.throws(() => [...decodeMessages(whole.subarray(0, 20))], /24 bytes is cut off/);
});

test('attributes are aligned to four bytes, nest, and are found by type', () => {
  const data = Buffer.concat([text(3, 'eth0'), attribute(1, Buffer.of(1, 2, 3)), nested(18, u32(4, 1500))]);
  assert.equal(data.toString('hex'), '09000300657468300000000007000100010203000c00128008000400dc050000');
  const found = decodeAttributes(data);
  assert.equal(decodeText(found.get(3)), 'eth0');
  assert.equal(
    decodeAttributes(found.get(18) ?? Buffer.alloc(0))
      .get(4)
      ?.readUInt32LE(),
    1500,
  );
});

test('decodeAttributes() never throws, whatever the bytes', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => decodeAttributes(Buffer.from(bytes)).size >= 0),
  );
});

test('formatAddress() writes what addressBytes() reads, the IPv6 way of RFC 5952', () => {
  fc.assert(
    fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), (address) => {
      const bytes = addressBytes(address);
      assert.deepEqual(addressBytes(formatAddress(bytes)), bytes);
    }),
  );
  const spellings = {
    '2001:DB8:0:0:1:0:0:1': '2001:db8::1:0:0:1',
    '0:0:0:0:0:0:0:0': '::',
    '1:0:2:3:4:5:6:7': '1:0:2:3:4:5:6:7',
  };
  for (const [given, wanted] of Object.entries(spellings))
    assert.equal(formatAddress(addressBytes(given)), wanted);
  assert.equal(addressBytes('::ffff:192.0.2.1').toString('hex'), '00000000000000000000ffffc0000201');
  for (const wrong of ['1.2.3', 'fe80::1%eth0', ''])
    assert.throws(() => addressBytes(wrong), /is not an IP address/);
});
