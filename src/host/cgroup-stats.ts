import type { Cgroup } from './cgroups.ts';

/** Raw counters of a group, named as cgroup v2 names them; bytes, nanoseconds or counts. */
export interface CgroupStats {
  readAt: Date;
  cpu: {
    usageNs: number;
    userNs: number;
    systemNs: number;
    perCpuNs?: number[];
    periods: number;
    throttledPeriods: number;
    throttledNs: number;
  };
  memory: {
    usage: number;
    maxUsage?: number;
    limit?: number;
    failcnt?: number;
    stat: Record<string, number>;
  };
  pids: { current: number; limit?: number };
  blkio: { major: number; minor: number; op: string; bytes: number; operations: number }[];
  cgroupVersion: 1 | 2;
}

export function readCgroupStats(cgroup: Cgroup): CgroupStats {
  return cgroup.version === 1 ? readV1(cgroup) : readV2(cgroup);
}

/** cpuacct.stat counts in USER_HZ, which is 100 on every architecture that Node runs on. */
const NS_PER_TICK = 10_000_000;
/** v1 says "no limit" as the largest multiple of the page size. */
const V1_UNLIMITED = 2 ** 62;

function readV1(cgroup: Cgroup): CgroupStats {
  const number = (controller: string, file: string): number | undefined =>
    parseNumber(cgroup.read(controller, file));
  const ticks = parseTable(cgroup.read('cpuacct', 'cpuacct.stat'));
  const throttling = parseTable(cgroup.read('cpu', 'cpu.stat'));
  const perCpuNs = (cgroup.read('cpuacct', 'cpuacct.usage_percpu') ?? '')
    .split(' ')
    .filter(isDigits)
    .map(Number);
  const limit = number('memory', 'memory.limit_in_bytes');
  const maxUsage = number('memory', 'memory.max_usage_in_bytes');
  const failcnt = number('memory', 'memory.failcnt');
  return {
    readAt: new Date(),
    cpu: {
      usageNs: number('cpuacct', 'cpuacct.usage') ?? 0,
      userNs: (ticks['user'] ?? 0) * NS_PER_TICK,
      systemNs: (ticks['system'] ?? 0) * NS_PER_TICK,
      ...(perCpuNs.length > 0 ? { perCpuNs } : {}),
      periods: throttling['nr_periods'] ?? 0,
      throttledPeriods: throttling['nr_throttled'] ?? 0,
      throttledNs: throttling['throttled_time'] ?? 0,
    },
    memory: {
      usage: number('memory', 'memory.usage_in_bytes') ?? 0,
      ...(maxUsage === undefined ? {} : { maxUsage }),
      ...(limit === undefined || limit > V1_UNLIMITED ? {} : { limit }),
      ...(failcnt === undefined ? {} : { failcnt }),
      stat: parseTable(cgroup.read('memory', 'memory.stat')),
    },
    pids: readPids(cgroup),
    blkio: readV1Blkio(cgroup),
    cgroupVersion: 1,
  };
}

function readV1Blkio(cgroup: Cgroup): CgroupStats['blkio'] {
  const entries = new Map<string, CgroupStats['blkio'][number]>();
  const add = (file: string, field: 'bytes' | 'operations'): void => {
    for (const line of (cgroup.read('blkio', file) ?? '').split('\n')) {
      const match = /^(\d+):(\d+) (\w+) (\d+)$/.exec(line);
      if (match === null) continue;
      const [, major, minor, op = '', value] = match;
      const key = `${major}:${minor} ${op}`;
      const entry = entries.get(key) ?? {
        major: Number(major),
        minor: Number(minor),
        op: op.toLowerCase(),
        bytes: 0,
        operations: 0,
      };
      entry[field] = Number(value);
      entries.set(key, entry);
    }
  };
  add('blkio.throttle.io_service_bytes_recursive', 'bytes');
  add('blkio.throttle.io_serviced_recursive', 'operations');
  return [...entries.values()];
}

function readV2(cgroup: Cgroup): CgroupStats {
  const cpu = parseTable(cgroup.read('cpu', 'cpu.stat'));
  const limit = parseNumber(cgroup.read('memory', 'memory.max'));
  const maxUsage = parseNumber(cgroup.read('memory', 'memory.peak'));
  const events = parseTable(cgroup.read('memory', 'memory.events'));
  return {
    readAt: new Date(),
    cpu: {
      usageNs: (cpu['usage_usec'] ?? 0) * 1000,
      userNs: (cpu['user_usec'] ?? 0) * 1000,
      systemNs: (cpu['system_usec'] ?? 0) * 1000,
      periods: cpu['nr_periods'] ?? 0,
      throttledPeriods: cpu['nr_throttled'] ?? 0,
      throttledNs: (cpu['throttled_usec'] ?? 0) * 1000,
    },
    memory: {
      usage: parseNumber(cgroup.read('memory', 'memory.current')) ?? 0,
      ...(maxUsage === undefined ? {} : { maxUsage }),
      ...(limit === undefined ? {} : { limit }),
      ...(events['max'] === undefined ? {} : { failcnt: events['max'] }),
      stat: parseTable(cgroup.read('memory', 'memory.stat')),
    },
    pids: readPids(cgroup),
    blkio: parseIoStat(cgroup.read('io', 'io.stat')),
    cgroupVersion: 2,
  };
}

/** `8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6` a line. */
export function parseIoStat(text = ''): CgroupStats['blkio'] {
  return text.split('\n').flatMap((line) => {
    const match = /^(\d+):(\d+) (.+)$/.exec(line);
    if (match === null) return [];
    const values = parseTable((match[3] ?? '').replaceAll('=', ' ').replaceAll(/ (?=[a-z])/g, '\n'));
    const device = { major: Number(match[1]), minor: Number(match[2]) };
    return [
      { ...device, op: 'read', bytes: values['rbytes'] ?? 0, operations: values['rios'] ?? 0 },
      { ...device, op: 'write', bytes: values['wbytes'] ?? 0, operations: values['wios'] ?? 0 },
      { ...device, op: 'discard', bytes: values['dbytes'] ?? 0, operations: values['dios'] ?? 0 },
    ];
  });
}

function readPids(cgroup: Cgroup): CgroupStats['pids'] {
  const limit = parseNumber(cgroup.read('pids', 'pids.max'));
  const current = parseNumber(cgroup.read('pids', 'pids.current')) ?? 0;
  return { current, ...(limit === undefined ? {} : { limit }) };
}

const isDigits = (text: string): boolean => /^\d+$/.test(text.trim());

/** Undefined for `max` and for a missing file. */
function parseNumber(text: string | undefined): number | undefined {
  return text !== undefined && isDigits(text) ? Number(text) : undefined;
}

function parseTable(text = ''): Record<string, number> {
  const table: Record<string, number> = {};
  for (const [, key = '', value] of text.matchAll(/^(\S+) (\d+)$/gm)) table[key] = Number(value);
  return table;
}
