import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/** For tests: the hull-monitor of a process, which is a child of the runtime until that has ended. Never ends without one. */
export async function monitorOf({ pid }: { pid: number }): Promise<number> {
  for (;;) {
    const parent = Number(/PPid:\t(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
    if (commandOf(parent).includes('hull-monitor')) return parent;
    await sleep(10);
  }
}

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return '';
  }
}
