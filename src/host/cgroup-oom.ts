import { type FSWatcher, watch } from 'node:fs';
import path from 'node:path';
import type { Cgroup } from './cgroups.ts';

// v1 tells of it only through an eventfd, for which there would have to be a thread that waits.
const LOOK_EVERY_MS = 1000;

/**
 * Calls back after processes of the group were killed for want of memory. On v2 the kernel says that memory.events has changed
 * (Documentation/admin-guide/cgroup-v2.rst), on v1 it is looked at once a second. Dispose to stop.
 */
export function watchOomKills(cgroup: Cgroup, listener: () => void): Disposable {
  let seen = cgroup.oomKills();
  const look = (): void => {
    const kills = cgroup.oomKills();
    if (kills > seen) listener();
    seen = kills;
  };
  if (cgroup.version === 1) {
    const timer = setInterval(look, LOOK_EVERY_MS).unref();
    return { [Symbol.dispose]: () => clearInterval(timer) };
  }
  const watcher = watchEvents(cgroup, look);
  return { [Symbol.dispose]: () => watcher?.close() };
}

/** Undefined for a group that has gone already, or a host without the memory controller. */
function watchEvents(cgroup: Cgroup, look: () => void): FSWatcher | undefined {
  const directory = cgroup.directory('memory');
  if (directory === undefined) return undefined;
  try {
    const watcher = watch(path.join(directory, 'memory.events'), { persistent: false }, look);
    return watcher.on('error', () => watcher.close());
  } catch {
    return undefined;
  }
}
