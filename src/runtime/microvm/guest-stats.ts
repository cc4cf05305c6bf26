import type { TaskStats } from '../runtime.ts';

/**
 * A microVM's counters: processor and disks as the host sees the whole VM, memory and processes as the guest sees the container. What
 * the VM takes of the host's memory stands among the memory's details as `vm_host_usage`.
 */
export function guestStats(host: TaskStats, text: string): TaskStats {
  const guest = parseGuestStats(text);
  const number = (key: string): number | undefined => {
    const value = Number(guest.get(key));
    return guest.has(key) && Number.isFinite(value) ? value : undefined;
  };
  const details = [...guest.entries()].flatMap(([key, value]): [string, number][] => {
    const name = key.startsWith('memory.stat ') ? key.slice('memory.stat '.length) : undefined;
    return name === undefined || !Number.isFinite(Number(value)) ? [] : [[name, Number(value)]];
  });
  const limit = number('memory.max') ?? number('meminfo MemTotal');
  const peak = number('memory.peak');
  const pidsLimit = number('pids.max');
  return {
    ...host,
    cgroupVersion: 2,
    memory: {
      usage: number('memory.current') ?? 0,
      ...(peak === undefined ? {} : { maxUsage: peak }),
      ...(limit === undefined ? {} : { limit }),
      stat: { ...Object.fromEntries(details), vm_host_usage: host.memory.usage },
    },
    pids: {
      current: number('pids.current') ?? 0,
      ...(pidsLimit === undefined ? {} : { limit: pidsLimit }),
    },
  };
}

/** STATS' lines by all their words but the last, which is the value. A guest's word: nothing is believed of their number or form. */
function parseGuestStats(text: string): Map<string, string> {
  const found = new Map<string, string>();
  for (const line of text.split('\n')) {
    const at = line.lastIndexOf(' ');
    if (at > 0) found.set(line.slice(0, at), line.slice(at + 1));
  }
  return found;
}
