import { existsSync } from 'node:fs';
import type { CgroupLayout } from './cgroup-layout.ts';

/** The limits that this host's kernel can set. */
export interface CgroupSupport {
  memory: boolean;
  swap: boolean;
  oomKillDisable: boolean;
  cpuQuota: boolean;
  cpuShares: boolean;
  cpuset: boolean;
  pids: boolean;
}

/** From which controllers are mounted and, on v1, which files they have (moby's pkg/sysinfo). `exists` tells of a file. */
export function cgroupSupport(
  layout: CgroupLayout,
  exists: (file: string) => boolean = existsSync,
): CgroupSupport {
  if (layout.version === 2) {
    const has = (controller: string): boolean => layout.unifiedControllers.includes(controller);
    return {
      memory: has('memory'),
      swap: has('memory'),
      oomKillDisable: false,
      cpuQuota: has('cpu'),
      cpuShares: has('cpu'),
      cpuset: has('cpuset'),
      pids: has('pids'),
    };
  }
  const has = (controller: string, file = ''): boolean => {
    const hierarchy = layout.v1.find(({ controllers }) => controllers.includes(controller));
    return hierarchy !== undefined && (file === '' || exists(`${hierarchy.mount}/${file}`));
  };
  return {
    memory: has('memory'),
    swap: has('memory', 'memory.memsw.limit_in_bytes'),
    oomKillDisable: has('memory', 'memory.oom_control'),
    cpuQuota: has('cpu', 'cpu.cfs_quota_us'),
    cpuShares: has('cpu', 'cpu.shares'),
    cpuset: has('cpuset'),
    pids: has('pids'),
  };
}
