import { statSync } from 'node:fs';
import { invalid } from '#/base/errors.ts';
import type {
  RuntimeBlockIo,
  RuntimeCpu,
  RuntimeMemory,
  RuntimeResources,
  RuntimeThrottle,
} from '#/oci/runtime-spec.ts';
import type { Resources, ThrottleDevice } from '#/wire/generated.ts';

// The kernel's default, and the unit in which Docker turns `--cpus` into a quota (microseconds).
const CPU_PERIOD = 100_000;

/** The limits of a request as the runtime specification says them; devices are someone else's. */
export function runtimeResources(resources: Resources): RuntimeResources {
  const result: RuntimeResources = {};
  const memory = runtimeMemory(resources);
  if (memory !== undefined) result.memory = memory;
  const cpu = runtimeCpu(resources);
  if (cpu !== undefined) result.cpu = cpu;
  if (resources.PidsLimit) result.pids = { limit: resources.PidsLimit < 0 ? -1 : resources.PidsLimit };
  const blockIO = runtimeBlockIo(resources);
  if (blockIO !== undefined) result.blockIO = blockIO;
  return result;
}

function runtimeMemory(resources: Resources): RuntimeMemory | undefined {
  const memory: RuntimeMemory = {};
  if (resources.Memory) {
    memory.limit = resources.Memory;
    // Without a word on swap there is as much of it as of memory.
    memory.swap = resources.MemorySwap || resources.Memory * 2;
  }
  if (resources.MemoryReservation) memory.reservation = resources.MemoryReservation;
  const swappiness = resources.MemorySwappiness;
  if (swappiness !== undefined && swappiness !== null && swappiness >= 0) memory.swappiness = swappiness;
  if (resources.OomKillDisable) memory.disableOOMKiller = true;
  return nonEmpty(memory);
}

function runtimeCpu(resources: Resources): RuntimeCpu | undefined {
  const cpu: RuntimeCpu = {};
  if (resources.CpuShares) cpu.shares = resources.CpuShares;
  if (resources.NanoCpus) {
    cpu.period = CPU_PERIOD;
    cpu.quota = Math.floor((resources.NanoCpus * CPU_PERIOD) / 1e9);
  }
  if (resources.CpuPeriod) cpu.period = resources.CpuPeriod;
  if (resources.CpuQuota) cpu.quota = resources.CpuQuota;
  if (resources.CpuRealtimePeriod) cpu.realtimePeriod = resources.CpuRealtimePeriod;
  if (resources.CpuRealtimeRuntime) cpu.realtimeRuntime = resources.CpuRealtimeRuntime;
  if (resources.CpusetCpus) cpu.cpus = resources.CpusetCpus;
  if (resources.CpusetMems) cpu.mems = resources.CpusetMems;
  return nonEmpty(cpu);
}

function runtimeBlockIo(resources: Resources): RuntimeBlockIo | undefined {
  const io: RuntimeBlockIo = {};
  if (resources.BlkioWeight) io.weight = resources.BlkioWeight;
  const weights = resources.BlkioWeightDevice ?? [];
  if (weights.length > 0) {
    io.weightDevice = weights.map(({ Path = '', Weight }) => ({ ...deviceNumbers(Path), weight: Weight }));
  }
  const throttles = {
    throttleReadBpsDevice: resources.BlkioDeviceReadBps,
    throttleWriteBpsDevice: resources.BlkioDeviceWriteBps,
    throttleReadIOPSDevice: resources.BlkioDeviceReadIOps,
    throttleWriteIOPSDevice: resources.BlkioDeviceWriteIOps,
  };
  for (const [key, devices] of Object.entries(throttles)) {
    if (devices?.length) Object.assign(io, { [key]: devices.map(runtimeThrottle) });
  }
  return nonEmpty(io);
}

function runtimeThrottle({ Path = '', Rate = 0 }: ThrottleDevice): RuntimeThrottle {
  return { ...deviceNumbers(Path), rate: Rate };
}

function deviceNumbers(path: string): { major: number; minor: number } {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined) throw invalid(`lstat ${path}: no such file or directory`);
  return splitDeviceNumber(stat.rdev);
}

/** Linux's encoding of a device number (makedev(3)). */
export function splitDeviceNumber(rdev: number): { major: number; minor: number } {
  return { major: (rdev >> 8) & 0xfff, minor: (rdev & 0xff) | ((rdev >> 12) & 0xfff00) };
}

function nonEmpty<T extends object>(value: T): T | undefined {
  return Object.keys(value).length > 0 ? value : undefined;
}

/** What this host's cgroups can limit. */
export interface LimitSupport {
  cpus: number;
  swapLimit: boolean;
}

const LEAST_MEMORY = 6 << 20;

/** Checks the limits against each other and the host, in Docker's words; returns them as they will be, and warnings. */
export function checkResources<R extends Resources>(
  resources: R,
  host: LimitSupport,
): { resources: R; warnings: string[] } {
  const checked = { ...resources };
  const warnings: string[] = [];
  const { Memory: memory = 0, MemorySwap: swap = 0, MemoryReservation: reservation = 0 } = checked;
  if (memory !== 0 && memory < LEAST_MEMORY) throw invalid('Minimum memory limit allowed is 6MB');
  if (memory > 0 && swap > 0 && swap < memory) {
    throw invalid('Minimum memoryswap limit should be larger than memory limit, see usage');
  }
  if (memory === 0 && swap > 0) {
    throw invalid('You should always set the Memory limit when using Memoryswap limit, see usage');
  }
  if (reservation !== 0 && reservation < LEAST_MEMORY)
    throw invalid('Minimum memory reservation allowed is 6MB');
  if (memory > 0 && reservation > memory) {
    throw invalid('Minimum memory limit can not be less than memory reservation limit, see usage');
  }
  if (memory > 0 && !host.swapLimit && swap !== -1) {
    warnings.push(
      'Your kernel does not support swap limit capabilities or the cgroup is not mounted. Memory limited without swap.',
    );
    checked.MemorySwap = -1;
  }
  const swappiness = checked.MemorySwappiness;
  if (
    swappiness !== undefined &&
    swappiness !== null &&
    swappiness !== -1 &&
    (swappiness < 0 || swappiness > 100)
  ) {
    throw invalid(`Invalid value: ${swappiness}, valid memory swappiness range is 0-100`);
  }
  checkCpu(checked, host);
  if (checked.BlkioWeight && (checked.BlkioWeight < 10 || checked.BlkioWeight > 1000)) {
    throw invalid('Range of blkio weight is from 10 to 1000');
  }
  if (checked.OomKillDisable && memory === 0) {
    warnings.push(
      'OOM killer is disabled for the container, but no memory limit is set, this can result in the system running out of resources.',
    );
  }
  return { resources: checked, warnings };
}

function checkCpu(resources: Resources, host: LimitSupport): void {
  const { NanoCpus: nano = 0, CpuPeriod: period = 0, CpuQuota: quota = 0 } = resources;
  if (nano > 0 && period > 0) {
    throw invalid('Conflicting options: Nano CPUs and CPU Period cannot both be set.');
  }
  if (nano > 0 && quota > 0)
    throw invalid('Conflicting options: Nano CPUs and CPU Quota cannot both be set.');
  if (nano < 0 || nano > host.cpus * 1e9) {
    throw invalid(
      `range of CPUs is from 0.01 to ${host.cpus.toFixed(2)}, as there are only ${host.cpus} CPUs available`,
    );
  }
  if (period !== 0 && (period < 1000 || period > 1_000_000)) {
    throw invalid('CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)');
  }
  if (quota > 0 && quota < 1000) throw invalid('CPU cfs quota can not be less than 1ms (i.e. 1000)');
  for (const [kind, list] of [
    ['cpuset.cpus', resources.CpusetCpus],
    ['cpuset.mems', resources.CpusetMems],
  ]) {
    if (list && !/^\d+(-\d+)?(,\d+(-\d+)?)*$/.test(list)) throw invalid(`Invalid value ${list} for ${kind}`);
  }
  const highest = Math.max(-1, ...(resources.CpusetCpus ?? '').split(/[,-]/).filter(Boolean).map(Number));
  if (highest >= host.cpus) {
    throw invalid(
      `Requested CPUs are not available - requested ${resources.CpusetCpus}, available: 0-${host.cpus - 1}`,
    );
  }
}
