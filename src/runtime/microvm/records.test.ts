import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { decodeRecords, Records, TAG } from './records.ts';

test('decodeRecords() gives back what Records encoded', () => {
  const record = fc.record({ tag: fc.nat(0xffff), value: fc.uint8Array({ maxLength: 40 }) });
  fc.assert(
    fc.property(fc.array(record, { maxLength: 6 }), (wanted) => {
      const records = new Records();
      for (const { tag, value } of wanted) records.add(tag, value);
      const found = [...decodeRecords(records.encode())].map(({ tag, value }) => ({
        tag,
        value: new Uint8Array(value),
      }));
      assert.deepEqual(
        found,
        wanted.map(({ tag, value }) => ({ tag, value })),
      );
    }),
  );
});

test('Records writes texts with a NUL behind each', () => {
  const bytes = new Records().texts(TAG.args, ['sh', '']).numbers(TAG.owner, 1, 2).encode();
  assert.equal(bytes.toString('hex'), '00200000000000047368000000840000000000080000000100000002');
});

test('decodeRecords() throws at what is cut off, and at nothing else', () => {
  const whole = new Records().text(TAG.cwd, '/work').encode();
  for (let length = 1; length < whole.length; length++)
    assert.throws(() => [...decodeRecords(whole.subarray(0, length))], /cut off/);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
      try {
        for (const { value } of decodeRecords(Buffer.from(bytes))) assert.ok(value.length <= bytes.length);
      } catch (error) {
        assert.match(String(error), /cut off/);
      }
    }),
  );
});
