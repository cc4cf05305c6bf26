import { statSync } from 'node:fs';
import { invalid } from '#/base/errors.ts';
import { refusalOfPath } from '#/host/refused-path.ts';
import type {
  RuntimeBlockIo,
  RuntimeCpu,
  RuntimeMemory,
  RuntimeResources,
  RuntimeThrottle,
} from '#/oci/runtime-spec.ts';
import type { Resources, ThrottleDevice } from '#/wire/generated.ts';
import type { RetiredResources } from '#/wire/retired-fields.ts';

// The kernel's default, and the unit in which Docker turns `--cpus` into a quota (microseconds).
const CPU_PERIOD = 100_000;

/** The limits of a request as the runtime specification says them; devices are someone else's. */
export function runtimeResources(resources: Resources & RetiredResources): RuntimeResources {
  const result: RuntimeResources = {};
  const memory = runtimeMemory(resources);
  if (memory !== undefined) result.memory = memory;
  const cpu = runtimeCpu(resources);
  if (cpu !== undefined) result.cpu = cpu;
  const pids = resources.PidsLimit;
  // The runtimes want -1 to take a limit away; clients say it with 0 as well.
  if (pids !== undefined && pids !== null) result.pids = { limit: pids <= 0 ? -1 : pids };
  const blockIO = runtimeBlockIo(resources);
  if (blockIO !== undefined) result.blockIO = blockIO;
  return result;
}

function runtimeMemory(resources: Resources & RetiredResources): RuntimeMemory | undefined {
  const memory: RuntimeMemory = {};
  if (resources.Memory) {
    memory.limit = resources.Memory;
    // Without a word on swap there is as much of it as of memory.
    memory.swap = resources.MemorySwap || resources.Memory * 2;
  }
  if (resources.MemoryReservation) memory.reservation = resources.MemoryReservation;
  const swappiness = resources.MemorySwappiness;
  if (swappiness !== undefined && swappiness !== null && swappiness >= 0) memory.swappiness = swappiness;
  if (resources.KernelMemoryTCP) memory.kernelTCP = resources.KernelMemoryTCP;
  if (resources.OomKillDisable) memory.disableOOMKiller = true;
  return nonEmpty(memory);
}

function runtimeCpu(resources: Resources): RuntimeCpu | undefined {
  const cpu: RuntimeCpu = {};
  if ((resources.CpuShares ?? 0) < 0) throw invalid('shares: invalid argument');
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
  try {
    return splitDeviceNumber(statSync(path).rdev);
  } catch (error) {
    const refused = refusalOfPath(error);
    throw refused === undefined ? error : invalid(`stat ${path}: ${refused}`);
  }
}

/** Linux's encoding of a device number (makedev(3)). */
export function splitDeviceNumber(rdev: number): { major: number; minor: number } {
  return { major: (rdev >> 8) & 0xfff, minor: (rdev & 0xff) | ((rdev >> 12) & 0xfff00) };
}

function nonEmpty<T extends object>(value: T): T | undefined {
  return Object.keys(value).length > 0 ? value : undefined;
}
