/** One answer of GET /containers/{id}/stats, as far as it is shown. */
export interface StatsAnswer {
  id?: string;
  name?: string;
  cpu_stats?: CpuFigures;
  precpu_stats?: CpuFigures;
  memory_stats?: { usage?: number; limit?: number; stats?: Record<string, number> | null };
  networks?: Record<string, { rx_bytes: number; tx_bytes: number }> | null;
  blkio_stats?: { io_service_bytes_recursive?: { op: string; value: number }[] | null };
  pids_stats?: { current?: number };
}

interface CpuFigures {
  cpu_usage?: { total_usage?: number; percpu_usage?: number[] | null };
  system_cpu_usage?: number;
  online_cpus?: number;
}

/** What one container used when it was last asked. */
export interface StatsSample {
  id: string;
  name: string;
  cpuPercent: number;
  memory: number;
  memoryLimit: number;
  received: number;
  sent: number;
  read: number;
  written: number;
  processes: number;
}

export function statsSample(answer: StatsAnswer): StatsSample {
  const networks = Object.values(answer.networks ?? {});
  return {
    id: answer.id ?? '',
    name: (answer.name ?? '').replace(/^\//, ''),
    cpuPercent: cpuPercent(answer.precpu_stats, answer.cpu_stats),
    memory: usedMemory(answer.memory_stats),
    memoryLimit: answer.memory_stats?.limit ?? 0,
    received: sum(networks.map((network) => network.rx_bytes)),
    sent: sum(networks.map((network) => network.tx_bytes)),
    read: transferred(answer, 'r'),
    written: transferred(answer, 'w'),
    processes: answer.pids_stats?.current ?? 0,
  };
}

/** The container's share of the time of one CPU: 200 when it kept two busy. */
function cpuPercent(before: CpuFigures = {}, now: CpuFigures = {}): number {
  const own = (now.cpu_usage?.total_usage ?? 0) - (before.cpu_usage?.total_usage ?? 0);
  const all = (now.system_cpu_usage ?? 0) - (before.system_cpu_usage ?? 0);
  const cpus = now.online_cpus || (now.cpu_usage?.percpu_usage?.length ?? 0);
  return own > 0 && all > 0 ? (own / all) * cpus * 100 : 0;
}

/** Without what the kernel would drop first: files read and not used since. Its name tells cgroup v1 from v2. */
function usedMemory({ usage = 0, stats }: NonNullable<StatsAnswer['memory_stats']> = {}): number {
  const v1 = stats?.['total_inactive_file'];
  if (v1 !== undefined && v1 < usage) return usage - v1;
  const v2 = stats?.['inactive_file'] ?? 0;
  return v2 < usage ? usage - v2 : usage;
}

function transferred({ blkio_stats }: StatsAnswer, letter: 'r' | 'w'): number {
  const entries = blkio_stats?.io_service_bytes_recursive ?? [];
  return sum(entries.filter(({ op }) => op[0]?.toLowerCase() === letter).map(({ value }) => value));
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
