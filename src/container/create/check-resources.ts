import { invalid } from '#/base/errors.ts';
import type { CgroupSupport } from '#/host/cgroup-support.ts';
import type { HostConfig, Resources } from '#/wire/generated.ts';
import type { RetiredResources } from '#/wire/retired-fields.ts';

type Limits = Resources & RetiredResources;

const LEAST_MEMORY = 6 << 20;

/**
 * Checks limits against each other and the host, in the order and the words of moby's verifyPlatformContainerResources. Returns them
 * as they will be, without what the host cannot do, and a warning for each of those. `update`: of a container that has limits already.
 */
export function checkResources<R extends Limits>(
  resources: R,
  host: CgroupSupport,
  { update = false }: { update?: boolean } = {},
): { resources: R; warnings: string[] } {
  const checked = { ...resources };
  const warnings: string[] = [];
  checkMemory(checked, host, update, warnings);
  checkKernelMemory(checked, host, warnings);
  checkOomAndPids(checked, host, warnings);
  checkCpu(checked, host, warnings);
  checkCpuset(checked, host, warnings);
  checkBlkio(checked, host, warnings);
  return { resources: checked, warnings };
}

/** What a new container's limits mean where they say nothing (moby's adaptContainerSettings, and the create handler). */
export function completeLimits(host: HostConfig): void {
  if (host.Memory && !host.MemorySwap) host.MemorySwap = host.Memory * 2;
  if ((host.PidsLimit ?? 0) <= 0) host.PidsLimit = null;
  const oom = host.OomScoreAdj ?? 0;
  if (oom < -1000 || oom > 1000) {
    throw invalid(`Invalid value ${oom}, range for oom score adj is [-1000, 1000]`);
  }
}

function checkMemory(limits: Limits, host: CgroupSupport, update: boolean, warnings: string[]): void {
  // How clients say "none".
  if (limits.MemorySwappiness === -1) delete limits.MemorySwappiness;
  if (limits.Memory && limits.Memory < LEAST_MEMORY) throw invalid('Minimum memory limit allowed is 6MB');
  if (limits.Memory && !host.memory) {
    warnings.push(unsupported('memory limit capabilities', 'Limitation discarded.'));
    limits.Memory = 0;
    limits.MemorySwap = -1;
  }
  if (limits.Memory && limits.MemorySwap !== -1 && !host.swap) {
    warnings.push(unsupported('swap limit capabilities', 'Memory limited without swap.'));
    limits.MemorySwap = -1;
  }
  const { Memory: memory = 0, MemorySwap: swap = 0 } = limits;
  if (memory > 0 && swap > 0 && swap < memory) {
    throw invalid('Minimum memoryswap limit should be larger than memory limit, see usage');
  }
  if (memory === 0 && swap > 0 && !update) {
    throw invalid('You should always set the Memory limit when using Memoryswap limit, see usage');
  }
  const swappiness = limits.MemorySwappiness;
  if (swappiness !== undefined && !host.swappiness) {
    warnings.push(unsupported('memory swappiness capabilities', 'Memory swappiness discarded.'));
    delete limits.MemorySwappiness;
  } else if (swappiness !== undefined && (swappiness < 0 || swappiness > 100)) {
    throw invalid(`Invalid value: ${swappiness}, valid memory swappiness range is 0-100`);
  }
  if (limits.MemoryReservation && !host.reservation) {
    warnings.push(unsupported('memory soft limit capabilities', 'Limitation discarded.'));
    limits.MemoryReservation = 0;
  }
  const reservation = limits.MemoryReservation ?? 0;
  if (reservation > 0 && reservation < LEAST_MEMORY)
    throw invalid('Minimum memory reservation allowed is 6MB');
  if (memory > 0 && reservation > memory) {
    throw invalid('Minimum memory limit can not be less than memory reservation limit, see usage');
  }
}

/** Linux has no limit on kernel memory since 5.16; that on TCP's buffers is still there with cgroup v1. */
function checkKernelMemory(limits: Limits, host: CgroupSupport, warnings: string[]): void {
  const kernel = limits.KernelMemory ?? 0;
  if (kernel > 0 && kernel < LEAST_MEMORY) throw invalid('Minimum kernel memory limit allowed is 6MB');
  if (kernel !== 0) {
    warnings.push(unsupported('kernel memory limit capabilities', 'Limitation discarded.'));
    limits.KernelMemory = 0;
  }
  if (limits.KernelMemoryTCP && !host.kernelMemoryTcp) {
    warnings.push(unsupported('kernel memory TCP limit capabilities', 'Limitation discarded.'));
    limits.KernelMemoryTCP = 0;
  }
}

function checkOomAndPids(limits: Limits, host: CgroupSupport, warnings: string[]): void {
  if (limits.OomKillDisable && !host.oomKillDisable) {
    warnings.push('Your kernel does not support OomKillDisable. OomKillDisable discarded.');
    limits.OomKillDisable = false;
  }
  if (limits.OomKillDisable && !limits.Memory) {
    warnings.push(
      'OOM killer is disabled for the container, but no memory limit is set, this can result in the system running out of resources.',
    );
  }
  if ((limits.PidsLimit ?? 0) > 0 && !host.pids) {
    warnings.push(unsupported('PIDs limit capabilities', 'PIDs limit discarded.'));
    limits.PidsLimit = null;
  }
}

function checkCpu(limits: Limits, host: CgroupSupport, warnings: string[]): void {
  const { NanoCpus: nano = 0, CpuRealtimePeriod: period = 0, CpuRealtimeRuntime: runtime = 0 } = limits;
  // moby's runconfig/hostconfig_unix.go, validateResources
  if ((period !== 0 || runtime !== 0) && !host.cpuRealtime) {
    throw invalid('your kernel does not support CPU real-time scheduler');
  }
  if (period !== 0 && runtime > period) {
    throw invalid('cpu real-time runtime cannot be higher than cpu real-time period');
  }
  if (nano > 0 && (limits.CpuPeriod ?? 0) > 0) {
    throw invalid('Conflicting options: Nano CPUs and CPU Period cannot both be set');
  }
  if (nano > 0 && (limits.CpuQuota ?? 0) > 0) {
    throw invalid('Conflicting options: Nano CPUs and CPU Quota cannot both be set');
  }
  if (nano > 0 && !host.cpuQuota) {
    throw invalid(
      'NanoCPUs can not be set, as your kernel does not support CPU CFS scheduler or the cgroup is not mounted',
    );
  }
  if (nano < 0 || nano > host.cpus * 1e9) {
    throw invalid(
      `range of CPUs is from 0.01 to ${host.cpus}.00, as there are only ${host.cpus} CPUs available`,
    );
  }
  if ((limits.CpuShares ?? 0) > 0 && !host.cpuShares) {
    warnings.push(unsupported('CPU shares', 'Shares discarded.'));
    limits.CpuShares = 0;
  }
  if ((limits.CpuPeriod || limits.CpuQuota) && !host.cpuQuota) {
    warnings.push('Your kernel does not support CPU CFS scheduler. CPU period/quota discarded.');
    limits.CpuPeriod = 0;
    limits.CpuQuota = 0;
  }
  const { CpuPeriod: cfsPeriod = 0, CpuQuota: quota = 0 } = limits;
  if (cfsPeriod !== 0 && (cfsPeriod < 1000 || cfsPeriod > 1_000_000)) {
    throw invalid('CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)');
  }
  if (quota > 0 && quota < 1000) throw invalid('CPU cfs quota can not be less than 1ms (i.e. 1000)');
  if ((limits.CpuPercent ?? 0) > 0) {
    warnings.push('linux does not support CPU percent. Percent discarded.');
    limits.CpuPercent = 0;
  }
  if (limits.CpuCount) {
    warnings.push('linux does not support CPU count. Count discarded.');
    limits.CpuCount = 0;
  }
}

function checkCpuset(limits: Limits, host: CgroupSupport, warnings: string[]): void {
  if ((limits.CpusetCpus || limits.CpusetMems) && !host.cpuset) {
    warnings.push(unsupported('cpuset', 'Cpuset discarded.'));
    limits.CpusetCpus = '';
    limits.CpusetMems = '';
  }
  for (const [list, available, kind, what] of [
    [limits.CpusetCpus, host.cpusetCpus, 'cpus', 'CPUs'],
    [limits.CpusetMems, host.cpusetMems, 'mems', 'memory nodes'],
  ] as const) {
    if (!list) continue;
    const wanted = parseUintList(list, kind);
    const there = parseUintList(available, kind);
    if (![...wanted].every((number) => there.has(number))) {
      throw invalid(`Requested ${what} are not available - requested ${list}, available: ${available}`);
    }
  }
}

// Docker's bound of a list, so that no range can be made to fill the memory.
const LARGEST_OF_LIST = 8192;

/** `0-3,8` as the numbers in it (cpuset(7), "List format"). */
function parseUintList(list: string, kind: 'cpus' | 'mems'): Set<number> {
  const numbers = new Set<number>();
  const fail = (why: string): never => {
    throw invalid(`Invalid value ${list} for cpuset ${kind}: ${why}`);
  };
  for (const range of list.split(',')) {
    if (list === '') break;
    const match = /^(\d+)(?:-(\d+))?$/.exec(range);
    const first = Number(match?.[1]);
    const last = Number(match?.[2] ?? match?.[1]);
    if (match === null || first > last) return fail(`invalid format: ${list}`);
    if (last > LARGEST_OF_LIST) return fail(`value of out range, maximum is ${LARGEST_OF_LIST}`);
    for (let number = first; number <= last; number++) numbers.add(number);
  }
  return numbers;
}

function checkBlkio(limits: Limits, host: CgroupSupport, warnings: string[]): void {
  if (limits.BlkioWeight && !host.blkioWeight) {
    warnings.push(unsupported('Block I/O weight', 'Weight discarded.'));
    limits.BlkioWeight = 0;
  }
  if (limits.BlkioWeight && (limits.BlkioWeight < 10 || limits.BlkioWeight > 1000)) {
    throw invalid('Range of blkio weight is from 10 to 1000');
  }
  if (limits.IOMaximumBandwidth || limits.IOMaximumIOps) {
    throw invalid('Invalid QoS settings: linux does not support Maximum IO Bandwidth or Maximum IO IOps');
  }
  const throttles = [
    ['BlkioWeightDevice', host.blkioWeightDevice, 'Block I/O weight_device', 'Weight-device'],
    ['BlkioDeviceReadBps', host.blkioReadBps, 'BPS Block I/O read limit', 'Block I/O BPS read limit'],
    ['BlkioDeviceWriteBps', host.blkioWriteBps, 'BPS Block I/O write limit', 'Block I/O BPS write limit'],
    ['BlkioDeviceReadIOps', host.blkioReadIops, 'IOPS Block read limit', 'Block I/O IOPS read limit'],
    ['BlkioDeviceWriteIOps', host.blkioWriteIops, 'IOPS Block write limit', 'Block I/O IOPS write limit'],
  ] as const;
  for (const [key, supported, what, discarded] of throttles) {
    if (!limits[key]?.length || supported) continue;
    warnings.push(unsupported(what, `${discarded} discarded.`));
    limits[key] = [];
  }
}

function unsupported(what: string, consequence: string): string {
  return `Your kernel does not support ${what} or the cgroup is not mounted. ${consequence}`;
}
