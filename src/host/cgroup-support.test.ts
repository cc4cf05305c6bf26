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
  const read = (file: string): string => `read ${file}`;
  const without = cgroupSupport(V1, { read, exists: (file) => !/memsw|rt_period/.test(file) });
  assert.partialDeepStrictEqual(without, {
    memory: true,
    swap: false,
    swappiness: true,
    oomKillDisable: true,
    cpuQuota: true,
    cpuShares: true,
    cpuRealtime: false,
    cpuset: false,
    cpusetCpus: '',
    pids: false,
    blkioWeight: false,
  });
  const cpuset = { mount: '/cg/cpuset', controllers: ['cpuset'] };
  const whole = cgroupSupport({ ...V1, v1: [...V1.v1, cpuset] }, { read, exists: () => true });
  assert.equal(whole.swap, true);
  assert.equal(whole.cpusetMems, 'read /cg/cpuset/cpuset.mems');
});

test('cgroupSupport() takes what controllers v2 offers', () => {
  const support = cgroupSupport({
    ...V1,
    version: 2,
    v1: [],
    unified: '/cg',
    unifiedControllers: ['memory', 'pids'],
  });
  assert.partialDeepStrictEqual(support, {
    memory: true,
    swap: true,
    swappiness: false,
    oomKillDisable: false,
    cpuQuota: false,
    cpuShares: false,
    cpuset: false,
    pids: true,
    blkioReadBps: false,
  });
});
