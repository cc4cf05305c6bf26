import { existsSync, readFileSync } from 'node:fs';
import os from 'node:os';
import type { CgroupLayout } from './cgroup-layout.ts';

/** The limits that this host's kernel can set: what it cannot is taken out of a request with a warning. */
export interface CgroupSupport {
  /** Processors that are online. */
  cpus: number;
  memory: boolean;
  swap: boolean;
  reservation: boolean;
  swappiness: boolean;
  oomKillDisable: boolean;
  kernelMemoryTcp: boolean;
  cpuQuota: boolean;
  cpuShares: boolean;
  cpuRealtime: boolean;
  cpuset: boolean;
  /** As the kernel lists them: `0-3,8`. */
  cpusetCpus: string;
  cpusetMems: string;
  pids: boolean;
  blkioWeight: boolean;
  blkioWeightDevice: boolean;
  blkioReadBps: boolean;
  blkioWriteBps: boolean;
  blkioReadIops: boolean;
  blkioWriteIops: boolean;
}

/** The files a host's support is told by. */
export interface CgroupFiles {
  exists(file: string): boolean;
  read(file: string): string;
}

const HOST_FILES: CgroupFiles = { exists: existsSync, read: readText };

/** From which controllers are mounted and, on v1, which files they have (moby's pkg/sysinfo). */
export function cgroupSupport(layout: CgroupLayout, files: CgroupFiles = HOST_FILES): CgroupSupport {
  const cpus = os.availableParallelism();
  return { cpus, ...(layout.version === 1 ? version1(layout, files) : version2(layout, files)) };
}

function version1(layout: CgroupLayout, files: CgroupFiles): Omit<CgroupSupport, 'cpus'> {
  const mountOf = (controller: string): string | undefined =>
    layout.v1.find(({ controllers }) => controllers.includes(controller))?.mount;
  const has = (controller: string, file: string): boolean => {
    const mount = mountOf(controller);
    return mount !== undefined && files.exists(`${mount}/${file}`);
  };
  const list = (file: string): string => {
    const mount = mountOf('cpuset');
    return mount === undefined ? '' : files.read(`${mount}/${file}`);
  };
  return {
    memory: mountOf('memory') !== undefined,
    swap: has('memory', 'memory.memsw.limit_in_bytes'),
    reservation: has('memory', 'memory.soft_limit_in_bytes'),
    swappiness: has('memory', 'memory.swappiness'),
    oomKillDisable: has('memory', 'memory.oom_control'),
    kernelMemoryTcp: has('memory', 'memory.kmem.tcp.limit_in_bytes'),
    cpuQuota: has('cpu', 'cpu.cfs_quota_us'),
    cpuShares: has('cpu', 'cpu.shares'),
    cpuRealtime: has('cpu', 'cpu.rt_period_us'),
    cpuset: mountOf('cpuset') !== undefined,
    cpusetCpus: list('cpuset.cpus'),
    cpusetMems: list('cpuset.mems'),
    pids: mountOf('pids') !== undefined,
    blkioWeight: has('blkio', 'blkio.weight'),
    blkioWeightDevice: has('blkio', 'blkio.weight_device'),
    blkioReadBps: has('blkio', 'blkio.throttle.read_bps_device'),
    blkioWriteBps: has('blkio', 'blkio.throttle.write_bps_device'),
    blkioReadIops: has('blkio', 'blkio.throttle.read_iops_device'),
    blkioWriteIops: has('blkio', 'blkio.throttle.write_iops_device'),
  };
}

/** The root of the v2 tree has none of the limits' files, so the controllers themselves must do. */
function version2(layout: CgroupLayout, files: CgroupFiles): Omit<CgroupSupport, 'cpus'> {
  const has = (controller: string): boolean => layout.unifiedControllers.includes(controller);
  const list = (file: string): string =>
    has('cpuset') && layout.unified !== undefined ? files.read(`${layout.unified}/${file}`) : '';
  return {
    memory: has('memory'),
    swap: has('memory'),
    reservation: has('memory'),
    swappiness: false,
    oomKillDisable: false,
    kernelMemoryTcp: false,
    cpuQuota: has('cpu'),
    cpuShares: has('cpu'),
    cpuRealtime: false,
    cpuset: has('cpuset'),
    cpusetCpus: list('cpuset.cpus.effective'),
    cpusetMems: list('cpuset.mems.effective'),
    pids: has('pids'),
    blkioWeight: has('io'),
    blkioWeightDevice: has('io'),
    blkioReadBps: has('io'),
    blkioWriteBps: has('io'),
    blkioReadIops: has('io'),
    blkioWriteIops: has('io'),
  };
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch {
    return '';
  }
}
