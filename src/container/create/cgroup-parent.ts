import path from 'node:path';
import { invalid } from '#/base/errors.ts';

/**
 * Who makes containers' cgroups, by dockerd's names: the runtime itself in the file system, or systemd as scopes, which it then
 * leaves alone. A host's cgroups have one owner, so systemd it is where it runs.
 */
export type CgroupDriver = 'cgroupfs' | 'systemd';

/** Throws in Docker's words what systemd would not take for a slice. */
export function checkCgroupParent(parent: string, driver: CgroupDriver): void {
  if (driver === 'systemd' && parent !== '' && !/^[^/:]+\.slice$/.test(parent)) {
    throw invalid('cgroup-parent for systemd cgroup should be a valid slice named as "xxx.slice"');
  }
}

/** The runtime specification's `linux.cgroupsPath` of a container, in the driver's form. */
export function cgroupsPathOf(id: string, parent: string, driver: CgroupDriver): string {
  return driver === 'systemd' ? `${parent}:hull:${id}` : path.posix.join('/', parent, id);
}
