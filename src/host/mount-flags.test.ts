import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseMountFlags } from './mount-flags.ts';

test('parseMountFlags() tells bits, propagation and the filesystem’s own words apart', () => {
  for (const [options, flags, data, propagation] of [
    ['', 0, '', []],
    ['defaults', 0, '', []],
    ['bind', 4096, '', []],
    ['rbind,ro,rslave', 4096 + 16384 + 1, '', ['rslave']],
    ['size=1m,nosuid,uid=1000,noexec', 2 + 8, 'size=1m,uid=1000', []],
    ['ro,rw', 0, '', []],
    ['exec,noexec', 8, '', []],
    ['addr=10.0.0.1,rw,nfsvers=4', 0, 'addr=10.0.0.1,nfsvers=4', []],
    ['hasOwnProperty', 0, 'hasOwnProperty', []],
  ] as const) {
    assert.deepEqual(parseMountFlags(options), { flags, data, propagation: [...propagation] }, options);
  }
});
