import type { RuntimeResources } from '#/oci/runtime-spec.ts';

/** The kernel's default period of a CPU quota, in microseconds. */
const CPU_PERIOD = 100_000;

/** What holds inside the guest, as its container's cgroup files and their values; limits of the whole VM are the sandbox's. */
export function guestLimits({ cpu, pids, memory }: RuntimeResources): [string, string][] {
  const files: [string, string][] = [];
  if (memory?.limit !== undefined) files.push(['memory.max', bound(memory.limit)], ['memory.swap.max', '0']);
  if (memory?.reservation !== undefined) files.push(['memory.low', String(memory.reservation)]);
  // The host keeps to it, too; here programs read it, and make themselves as wide as it is.
  if (cpu?.quota !== undefined) files.push(['cpu.max', `${bound(cpu.quota)} ${cpu.period ?? CPU_PERIOD}`]);
  if (pids !== undefined) files.push(['pids.max', bound(pids.limit)]);
  return files;
}

function bound(limit: number): string {
  return limit > 0 ? String(limit) : 'max';
}
