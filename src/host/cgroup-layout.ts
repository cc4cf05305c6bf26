import { mkdirSync, readFileSync } from 'node:fs';

import { run } from '#/host/process.ts';

/** One mounted hierarchy of cgroup v1, or the v2 tree. */
export interface CgroupHierarchy {
  mount: string;
  /** `memory`, `cpu`, …; `name=systemd` for a v1 hierarchy without controllers; empty for v2. */
  controllers: string[];
}

export interface CgroupLayout {
  /** What the containers' limits are set in: 1 also on hybrid hosts. */
  version: 1 | 2;
  v1: CgroupHierarchy[];
  /** Where the v2 tree is mounted, if it is; beside v1 hierarchies the host is hybrid. */
  unified: string | undefined;
  /** The options that tree is mounted with. */
  unifiedOptions: string[];
  /** Controllers that the v2 tree offers at its root. */
  unifiedControllers: string[];
}

const MOUNTINFO = '/proc/self/mountinfo';

/** Reads how this host's cgroups are mounted, from mountinfo (proc_pid_mountinfo(5)) and cgroup.controllers. */
export function readCgroupLayout(mountinfo: string = readFileSync(MOUNTINFO, 'utf8')): CgroupLayout {
  const v1: CgroupHierarchy[] = [];
  let unified: string | undefined;
  let unifiedOptions: string[] = [];
  for (const line of mountinfo.split('\n')) {
    const [left = '', right = ''] = line.split(' - ');
    const [, , , , mount, flags = ''] = left.split(' ');
    const [type, , options = ''] = right.split(' ');
    if (mount === undefined || !mount.startsWith('/sys/fs/cgroup')) continue;
    if (type === 'cgroup2' && unified === undefined) {
      unified = mount;
      unifiedOptions = [...new Set([...flags.split(','), ...options.split(',')])];
    }
    if (type !== 'cgroup') continue;
    const controllers = options
      .split(',')
      .filter((option) => !V1_MOUNT_FLAGS.has(option) && !option.includes('agent='));
    // The same hierarchy may be mounted under a second name (cpu -> cpu,cpuacct).
    if (!v1.some((known) => known.controllers.join() === controllers.join())) v1.push({ mount, controllers });
  }
  return {
    version: v1.length > 0 ? 1 : 2,
    v1,
    unified,
    unifiedOptions,
    unifiedControllers: unified === undefined ? [] : readWords(`${unified}/cgroup.controllers`),
  };
}

const V1_MOUNT_FLAGS = new Set(['rw', 'ro', 'xattr', 'clone_children', 'noprefix']);

function readWords(file: string): string[] {
  try {
    return readFileSync(file, 'utf8').split(/\s+/).filter(Boolean);
  } catch {
    return [];
  }
}

/**
 * crun refuses hybrid hosts whose v2 tree still has controllers. Mounts each of them as a v1 hierarchy of its own, which takes
 * it away from v2, and returns those it moved. A controller that v2 groups still use stays; the layout read afterwards tells.
 */
export async function moveControllersToV1(layout: CgroupLayout): Promise<string[]> {
  if (layout.version !== 1) return [];
  const moved: string[] = [];
  for (const controller of layout.unifiedControllers) {
    const target = `/sys/fs/cgroup/${controller}`;
    mkdirSync(target, { recursive: true });
    const { code } = await run('mount', ['-t', 'cgroup', '-o', controller, 'cgroup', target], {
      timeoutMs: 10_000,
    });
    if (code === 0) moved.push(controller);
  }
  return moved;
}

const FAVOR_DYNMODS = 'favordynmods';

/**
 * Makes moving a process into a cgroup quick, host-wide (Linux 6.0, Documentation/admin-guide/cgroup-v2.rst): otherwise each
 * move waits for a grace period of the kernel's, several milliseconds of every container's start and every exec. Forks and exits
 * cost a little more for it. Whether it is in force now.
 */
export async function favorDynamicModifications(layout: CgroupLayout): Promise<boolean> {
  if (layout.unified === undefined) return false;
  if (layout.unifiedOptions.includes(FAVOR_DYNMODS)) return true;
  // All options anew: those that a remount does not name are switched off.
  const options = ['remount', ...layout.unifiedOptions, FAVOR_DYNMODS].join(',');
  const { code } = await run('mount', ['-o', options, layout.unified], { timeoutMs: 10_000 });
  return code === 0;
}
