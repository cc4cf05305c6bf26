import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CgroupLayout } from './cgroup-layout.ts';
import { cgroupSupport } from './cgroup-support.ts';

const V1: CgroupLayout = {
  version: 1,
  v1: [
    { mount: '/cg/memory', controllers: ['memory'] },
    { mount: '/cg/cpu', controllers: ['cpu', 'cpuacct'] },
  ],
  unified: undefined,
  unifiedOptions: [],
  unifiedControllers: [],
};

test('cgroupSupport() looks for the files of v1 controllers, because kernels are built without some', () => {
  const without = cgroupSupport(V1, (file) => !file.includes('memsw'));
  assert.deepEqual(without, {
    memory: true,
    swap: false,
    oomKillDisable: true,
    cpuQuota: true,
    cpuShares: true,
    cpuset: false,
    pids: false,
  });
  assert.equal(cgroupSupport(V1, () => true).swap, true);
});

test('cgroupSupport() takes what controllers v2 offers', () => {
  const support = cgroupSupport({
    ...V1,
    version: 2,
    v1: [],
    unified: '/cg',
    unifiedControllers: ['memory', 'pids'],
  });
  assert.deepEqual(support, {
    memory: true,
    swap: true,
    oomKillDisable: false,
    cpuQuota: false,
    cpuShares: false,
    cpuset: false,
    pids: true,
  });
});
