import assert from 'node:assert/strict';
import { test } from 'node:test';
import { storageLimit } from './storage-options.ts';

test('storageLimit() reads the size, or takes the engine’s', () => {
  assert.equal(storageLimit({}, 0), 0);
  assert.equal(storageLimit({}, 5), 5);
  assert.equal(storageLimit({ size: '10G' }, 5), 10 * 2 ** 30);
  assert.equal(storageLimit({ SIZE: '1m' }, 0), 2 ** 20);
  assert.equal(storageLimit({ size: '0' }, 5), 0);
});

test('storageLimit() refuses in Docker’s words', () => {
  assert.throws(() => storageLimit({ foo: '1' }, 0), { message: 'unknown option foo', kind: 'internal' });
  assert.throws(() => storageLimit({ size: 'x' }, 0), { message: "invalid size: 'x'", kind: 'internal' });
  assert.throws(() => storageLimit({ size: '-1' }, 0), { message: "invalid size: '-1'" });
});
