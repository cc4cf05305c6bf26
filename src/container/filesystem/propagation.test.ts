import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { MountInfo } from '#/host/mounts.ts';
import { propagationRefusal } from './propagation.ts';

const mount = (target: string, propagation: string): MountInfo => ({
  target,
  propagation,
  source: 'none',
  type: 'tmpfs',
  options: 'rw',
  root: '/',
});
const MOUNTS = [
  mount('/', ''),
  mount('/shared', 'shared:1'),
  mount('/slave', 'master:1'),
  mount('/both', 'shared:2 master:1'),
  mount('/over', 'shared:3'),
  mount('/over', ''),
];

test('propagationRefusal() looks at the mount that the source is on', () => {
  for (const [propagation, source, words] of [
    ['shared', '/shared', undefined],
    ['rshared', '/shared/a/b', undefined],
    ['rshared', '/both/x', undefined],
    ['rslave', '/slave', undefined],
    ['slave', '/shared/a', undefined],
    ['rshared', '/slave', 'path /slave is mounted on /slave but it is not a shared mount'],
    ['shared', '/sharedelse', 'path /sharedelse is mounted on / but it is not a shared mount'],
    ['rslave', '/tmp', 'path /tmp is mounted on / but it is not a shared or slave mount'],
    ['rslave', '/over/x', 'path /over/x is mounted on /over but it is not a shared or slave mount'],
  ] as const) {
    assert.equal(propagationRefusal(propagation, source, source, MOUNTS), words, `${propagation} ${source}`);
  }
});
