import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runtimeResources } from './resources.ts';

test('runtimeResources() turns CPUs into a quota and gives as much swap as memory', () => {
  assert.deepEqual(runtimeResources({ NanoCpus: 1.5e9, Memory: 64 << 20, PidsLimit: 5 }), {
    memory: { limit: 64 << 20, swap: 128 << 20 },
    cpu: { period: 100_000, quota: 150_000 },
    pids: { limit: 5 },
  });
  assert.deepEqual(runtimeResources({}), {});
});

test('runtimeResources() takes a limit of processes away with 0 as with -1', () => {
  assert.deepEqual(runtimeResources({ PidsLimit: 0 }), { pids: { limit: -1 } });
  assert.deepEqual(runtimeResources({ PidsLimit: -7 }), { pids: { limit: -1 } });
  assert.deepEqual(runtimeResources({ PidsLimit: null }), {});
});

test('runtimeResources() refuses shares below nothing, and devices that are not there', () => {
  assert.throws(() => runtimeResources({ CpuShares: -1 }), { message: 'shares: invalid argument' });
  for (const [path, why] of [
    ['/dev/no-such', 'no such file or directory'],
    ['/dev/null/x', 'not a directory'],
    ['a'.repeat(10_000), 'file name too long'],
    ['/dev/nu\0ll', 'invalid argument'],
  ] as const) {
    assert.throws(() => runtimeResources({ BlkioDeviceReadBps: [{ Path: path, Rate: 1 }] }), {
      kind: 'invalid',
      message: `stat ${path}: ${why}`,
    });
  }
});
