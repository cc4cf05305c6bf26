import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CgroupSupport } from '#/host/cgroup-support.ts';
import type { HostConfig, Resources } from '#/wire/generated.ts';
import type { RetiredResources } from '#/wire/retired-fields.ts';
import { checkResources, completeLimits } from './check-resources.ts';

const MB = 1 << 20;

const HOST: CgroupSupport = {
  cpus: 2,
  memory: true,
  swap: true,
  reservation: true,
  swappiness: true,
  oomKillDisable: true,
  kernelMemoryTcp: true,
  cpuShares: true,
  cpuQuota: true,
  cpuRealtime: true,
  cpuset: true,
  cpusetCpus: '0-1',
  cpusetMems: '0',
  pids: true,
  blkioWeight: true,
  blkioWeightDevice: true,
  blkioReadBps: true,
  blkioWriteBps: true,
  blkioReadIops: true,
  blkioWriteIops: true,
};

/** A host whose cgroups limit nothing. */
const BARE = Object.fromEntries(
  Object.entries(HOST).map(([key, value]) => [key, typeof value === 'boolean' ? false : value]),
) as unknown as CgroupSupport;

type Limits = Resources & RetiredResources;

const REFUSED: [Limits, string][] = [
  [{ Memory: 4 * MB }, 'Minimum memory limit allowed is 6MB'],
  [
    { Memory: 8 * MB, MemorySwap: 7 * MB },
    'Minimum memoryswap limit should be larger than memory limit, see usage',
  ],
  [{ MemorySwap: 8 * MB }, 'You should always set the Memory limit when using Memoryswap limit, see usage'],
  [{ MemoryReservation: MB }, 'Minimum memory reservation allowed is 6MB'],
  [
    { Memory: 8 * MB, MemoryReservation: 9 * MB },
    'Minimum memory limit can not be less than memory reservation limit, see usage',
  ],
  [{ MemorySwappiness: 101 }, 'Invalid value: 101, valid memory swappiness range is 0-100'],
  [{ KernelMemory: MB }, 'Minimum kernel memory limit allowed is 6MB'],
  [{ NanoCpus: 3e9 }, 'range of CPUs is from 0.01 to 2.00, as there are only 2 CPUs available'],
  [{ NanoCpus: 1, CpuPeriod: 5000 }, 'Conflicting options: Nano CPUs and CPU Period cannot both be set'],
  [{ NanoCpus: 1, CpuQuota: 5000 }, 'Conflicting options: Nano CPUs and CPU Quota cannot both be set'],
  [{ CpuPeriod: 10 }, 'CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)'],
  [{ CpuQuota: 10 }, 'CPU cfs quota can not be less than 1ms (i.e. 1000)'],
  [
    { CpuRealtimePeriod: 1, CpuRealtimeRuntime: 2 },
    'cpu real-time runtime cannot be higher than cpu real-time period',
  ],
  [{ CpusetCpus: '0-5' }, 'Requested CPUs are not available - requested 0-5, available: 0-1'],
  [{ CpusetMems: '4' }, 'Requested memory nodes are not available - requested 4, available: 0'],
  [{ CpusetCpus: 'x' }, 'Invalid value x for cpuset cpus: invalid format: x'],
  [{ CpusetMems: '1-0' }, 'Invalid value 1-0 for cpuset mems: invalid format: 1-0'],
  [
    { CpusetCpus: '0-99999999' },
    'Invalid value 0-99999999 for cpuset cpus: value of out range, maximum is 8192',
  ],
  [{ BlkioWeight: 5 }, 'Range of blkio weight is from 10 to 1000'],
  [
    { IOMaximumIOps: 5 },
    'Invalid QoS settings: linux does not support Maximum IO Bandwidth or Maximum IO IOps',
  ],
];

test("checkResources() refuses limits that cannot be, in Docker's words", () => {
  for (const [limits, message] of REFUSED) {
    assert.throws(() => checkResources(limits, HOST), { kind: 'invalid', message });
  }
});

test('checkResources() lets pass what can be, as it is', () => {
  for (const limits of [
    { Memory: 64 * MB, MemorySwap: -1, MemoryReservation: 32 * MB, MemorySwappiness: 0 },
    { CpusetCpus: '0,1', CpusetMems: '0', CpuShares: 2, NanoCpus: 2e9 },
    { CpuPeriod: 1000, CpuQuota: -1, PidsLimit: 0, OomKillDisable: false },
    { BlkioWeight: 10, KernelMemoryTCP: MB, CpuRealtimeRuntime: 950_000 },
  ]) {
    assert.deepEqual(checkResources<Limits>(limits, HOST), { resources: limits, warnings: [] });
  }
  assert.deepEqual(checkResources({ MemorySwappiness: -1 }, HOST).resources, {});
});

test('checkResources() lets an update name swap alone', () => {
  assert.deepEqual(checkResources({ MemorySwap: 8 * MB }, HOST, { update: true }).warnings, []);
});

const DISCARDED: [Limits, Limits, RegExp][] = [
  [
    { Memory: 64 * MB },
    { Memory: 0, MemorySwap: -1 },
    /memory limit capabilities .* Limitation discarded\.$/,
  ],
  [{ MemorySwappiness: 5 }, {}, /Memory swappiness discarded\.$/],
  [{ MemoryReservation: 64 * MB }, { MemoryReservation: 0 }, /memory soft limit capabilities/],
  [{ KernelMemory: 64 * MB }, { KernelMemory: 0 }, /kernel memory limit capabilities/],
  [{ KernelMemoryTCP: 64 * MB }, { KernelMemoryTCP: 0 }, /kernel memory TCP limit capabilities/],
  [
    { OomKillDisable: true },
    { OomKillDisable: false },
    /^Your kernel does not support OomKillDisable\. OomKillDisable discarded\.$/,
  ],
  [{ PidsLimit: 5 }, { PidsLimit: null }, /PIDs limit discarded\.$/],
  [{ CpuShares: 5 }, { CpuShares: 0 }, /Shares discarded\.$/],
  [{ CpuQuota: 5000 }, { CpuQuota: 0, CpuPeriod: 0 }, /CPU period\/quota discarded\.$/],
  [{ CpuPercent: 5 }, { CpuPercent: 0 }, /^linux does not support CPU percent\. Percent discarded\.$/],
  [{ CpusetCpus: '0' }, { CpusetCpus: '', CpusetMems: '' }, /Cpuset discarded\.$/],
  [{ BlkioWeight: 500 }, { BlkioWeight: 0 }, /Block I\/O weight or .* Weight discarded\.$/],
  [
    { BlkioWeightDevice: [{ Path: '/dev/sda', Weight: 10 }] },
    { BlkioWeightDevice: [] },
    /Weight-device discarded\.$/,
  ],
  [
    { BlkioDeviceWriteIOps: [{ Path: '/dev/sda', Rate: 10 }] },
    { BlkioDeviceWriteIOps: [] },
    /Block I\/O IOPS write limit discarded\.$/,
  ],
];

test('checkResources() takes out what the host cannot do, and says so', () => {
  for (const [limits, left, words] of DISCARDED) {
    const { resources, warnings } = checkResources(limits, BARE);
    assert.deepEqual(resources, left);
    assert.equal(warnings.length, 1, warnings.join());
    assert.match(warnings[0] ?? '', words);
  }
  const { resources, warnings } = checkResources<Limits>({ Memory: 64 * MB }, { ...HOST, swap: false });
  assert.equal(resources.MemorySwap, -1);
  assert.match(warnings[0] ?? '', /swap limit capabilities .* Memory limited without swap\.$/);
});

test('checkResources() warns of a container that cannot be killed and has no bound', () => {
  const { warnings } = checkResources({ OomKillDisable: true }, HOST);
  assert.match(warnings[0] ?? '', /^OOM killer is disabled for the container, but no memory limit is set/);
});

test('completeLimits() gives as much swap as memory, and knows no limit of no processes', () => {
  const complete = (host: HostConfig): HostConfig => {
    completeLimits(host);
    return host;
  };
  assert.equal(complete({ Memory: 8 * MB }).MemorySwap, 16 * MB);
  assert.equal(complete({ Memory: 8 * MB, MemorySwap: -1 }).MemorySwap, -1);
  assert.equal(complete({ PidsLimit: -1 }).PidsLimit, null);
  assert.equal(complete({ PidsLimit: 7 }).PidsLimit, 7);
  assert.throws(() => complete({ OomScoreAdj: -1001 }), {
    message: 'Invalid value -1001, range for oom score adj is [-1000, 1000]',
  });
});
