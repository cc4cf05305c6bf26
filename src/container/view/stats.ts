import { readFileSync } from 'node:fs';
import os from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { invalid } from '#/base/errors.ts';
import { nowTimestamp } from '#/base/time.ts';
import type { Task, TaskStats } from '#/runtime/runtime.ts';
import type { ContainerCPUStats, ContainerNetworkStats, ContainerStatsResponse } from '#/wire/generated.ts';
import type { Container, Containers } from '../containers.ts';
import { isRunning } from '../record.ts';

export interface StatsOptions {
  stream: boolean;
  /** Answers from one reading; without it a single sample takes two, a second apart, so that rates can be told. */
  oneShot: boolean;
}

const PERIOD_MS = 1000;
/** What was read so recently serves whoever asks: however many watch a container, it is read twice a second at most. */
const FRESH_MS = PERIOD_MS / 2;
const ZERO_TIME = '0001-01-01T00:00:00Z';
/** /proc/stat counts in USER_HZ, which is 100 on every architecture that Node runs on. */
const NS_PER_TICK = 10_000_000;

/** What containers use, sampled once a second for as long as someone reads. */
export class Stats {
  readonly #containers: Containers;
  readonly #readings = new WeakMap<
    Container,
    { at: number; task: Task | undefined; reading: Promise<Reading> }
  >();

  constructor(containers: Containers) {
    this.#containers = containers;
  }

  /** One sample, or with `stream` one a second until the container is removed or the reader goes. */
  samples(
    reference: string,
    options: StatsOptions,
    signal: AbortSignal,
  ): AsyncIterable<ContainerStatsResponse> {
    if (options.stream && options.oneShot) throw invalid('cannot have stream=true and one-shot=true');
    return this.#samples(this.#containers.get(reference), options, signal);
  }

  async *#samples(
    container: Container,
    { stream, oneShot }: StatsOptions,
    signal: AbortSignal,
  ): AsyncGenerator<ContainerStatsResponse> {
    let sample = await this.#sample(container);
    if (!stream && !oneShot && sample.read !== ZERO_TIME) {
      if (!(await pause(signal))) return;
      sample = await this.#sample(container, sample);
    }
    yield sample;
    if (!stream) return;
    while ((await pause(signal)) && this.#containers.byId(container.id) === container) {
      sample = await this.#sample(container, sample);
      yield sample;
    }
  }

  /** The sample before gives the counters that rates are taken from. */
  async #sample(container: Container, before?: ContainerStatsResponse): Promise<ContainerStatsResponse> {
    const reading = await this.#reading(container);
    if (reading.read === ZERO_TIME) return { ...reading, preread: ZERO_TIME, precpu_stats: noCpu() };
    return {
      ...reading,
      preread: before?.read ?? ZERO_TIME,
      precpu_stats: before?.cpu_stats ?? noCpu(),
    };
  }

  #reading(container: Container): Promise<Reading> {
    const now = performance.now();
    const last = this.#readings.get(container);
    const { task } = container;
    if (last !== undefined && last.task === task && now - last.at < FRESH_MS) return last.reading;
    const reading = read(container);
    this.#readings.set(container, { at: now, task, reading });
    return reading;
  }
}

async function pause(signal: AbortSignal): Promise<boolean> {
  try {
    await delay(PERIOD_MS, undefined, { signal, ref: false });
    return true;
  } catch {
    return false;
  }
}

/** A sample but for what it says of the one before it. */
type Reading = Omit<ContainerStatsResponse, 'preread' | 'precpu_stats'>;

/** All zero for a container that does not run. */
async function read({ record, task }: Container): Promise<Reading> {
  const named = { name: `/${record.name}`, id: record.id };
  if (!isRunning(record) || task === undefined) {
    return {
      read: ZERO_TIME,
      pids_stats: {},
      blkio_stats: { ...noBlkio() },
      num_procs: 0,
      storage_stats: {},
      cpu_stats: noCpu(),
      memory_stats: {},
      ...named,
    };
  }
  const stats = await task.stats();
  const networks = record.hostConfig.NetworkMode === 'host' ? {} : readNetworks(record.state.pid);
  return {
    read: nowTimestamp(),
    pids_stats: stats.pids,
    blkio_stats: blkio(stats),
    num_procs: 0,
    storage_stats: {},
    cpu_stats: cpu(stats),
    memory_stats: memory(stats),
    ...named,
    ...(Object.keys(networks).length > 0 ? { networks } : {}),
  };
}

function noCpu(): ContainerCPUStats {
  return {
    cpu_usage: { total_usage: 0, usage_in_kernelmode: 0, usage_in_usermode: 0 },
    throttling_data: { periods: 0, throttled_periods: 0, throttled_time: 0 },
  };
}

function cpu({ cpu: counters }: TaskStats): ContainerCPUStats {
  const procStat = readFileSync('/proc/stat', 'utf8');
  return {
    cpu_usage: {
      total_usage: counters.usageNs,
      ...(counters.perCpuNs === undefined ? {} : { percpu_usage: counters.perCpuNs }),
      usage_in_kernelmode: counters.systemNs,
      usage_in_usermode: counters.userNs,
    },
    system_cpu_usage: systemCpuUsage(procStat),
    online_cpus: onlineCpus(procStat),
    throttling_data: {
      periods: counters.periods,
      throttled_periods: counters.throttledPeriods,
      throttled_time: counters.throttledNs,
    },
  };
}

/** Nanoseconds of all processors together, idle ones too: the first seven columns of the `cpu` line, as Docker counts. */
export function systemCpuUsage(procStat: string): number {
  const ticks = /^cpu +(.*)$/m.exec(procStat)?.[1]?.split(' ').slice(0, 7).map(Number) ?? [];
  return ticks.reduce((sum, count) => sum + count, 0) * NS_PER_TICK;
}

/** A line for each processor that is online; `os.cpus()` reads all of /proc/cpuinfo to say as much. */
export function onlineCpus(procStat: string): number {
  return procStat.match(/^cpu\d/gm)?.length ?? 1;
}

function memory({ memory: counters, cgroupVersion }: TaskStats): ContainerStatsResponse['memory_stats'] {
  const shared = {
    usage: counters.usage,
    stats: counters.stat,
    // Without a limit of its own the host's memory is the limit.
    limit: counters.limit === undefined ? os.totalmem() : Math.min(counters.limit, os.totalmem()),
  };
  if (cgroupVersion === 2) return shared;
  const { maxUsage, failcnt } = counters;
  return {
    ...shared,
    ...(maxUsage === undefined ? {} : { max_usage: maxUsage }),
    ...(failcnt === undefined ? {} : { failcnt }),
  };
}

type Blkio = NonNullable<ContainerStatsResponse['blkio_stats']>;
type BlkioEntries = NonNullable<Blkio['io_service_bytes_recursive']>;

/** Docker writes null for each of them, which the description does not foresee. */
function noBlkio(): object {
  return {
    io_service_bytes_recursive: null,
    io_serviced_recursive: null,
    io_queue_recursive: null,
    io_service_time_recursive: null,
    io_wait_time_recursive: null,
    io_merged_recursive: null,
    io_time_recursive: null,
    sectors_recursive: null,
  };
}

function blkio({ blkio: counters, cgroupVersion }: TaskStats): Blkio {
  // The kernel's words: "Read" on v1, "rbytes" on v2, which Docker shows as "read".
  const op = (name: string): string =>
    cgroupVersion === 1 ? name.charAt(0).toUpperCase() + name.slice(1) : name;
  const entries = (field: 'bytes' | 'operations'): BlkioEntries =>
    counters.map(({ major, minor, op: name, [field]: value }) => ({ major, minor, op: op(name), value }));
  return {
    ...noBlkio(),
    io_service_bytes_recursive: entries('bytes'),
    ...(cgroupVersion === 1 ? { io_serviced_recursive: entries('operations') } : {}),
  };
}

function readNetworks(pid: number): Record<string, ContainerNetworkStats> {
  try {
    return parseNetDev(readFileSync(`/proc/${pid}/net/dev`, 'utf8'));
  } catch {
    // It ended just now.
    return {};
  }
}

/** The interfaces of /proc/PID/net/dev but loopback, which Docker does not show. */
export function parseNetDev(text: string): Record<string, ContainerNetworkStats> {
  const networks: Record<string, ContainerNetworkStats> = {};
  for (const [, name = '', counters = ''] of text.matchAll(/^ *(\S+): *(.+)$/gm)) {
    if (name === 'lo') continue;
    const values = counters.trim().split(/\s+/).map(Number);
    const [rx_bytes = 0, rx_packets = 0, rx_errors = 0, rx_dropped = 0] = values;
    const [tx_bytes = 0, tx_packets = 0, tx_errors = 0, tx_dropped = 0] = values.slice(8);
    networks[name] = {
      rx_bytes,
      rx_packets,
      rx_errors,
      rx_dropped,
      tx_bytes,
      tx_packets,
      tx_errors,
      tx_dropped,
    };
  }
  return networks;
}
