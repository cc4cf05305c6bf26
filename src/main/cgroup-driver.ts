import { unavailable } from '#/base/errors.ts';
import { type CgroupDriver, checkCgroupParent } from '#/container/create/cgroup-parent.ts';

export interface CgroupPlace {
  driver: CgroupDriver;
  /** Of containers that name none. */
  parent: string;
}

export interface CgroupHost {
  version: 1 | 2;
  systemd: boolean;
}

/** Where containers' cgroups are made and by whom: what was asked for, else what dockerd would take on this host. */
export function cgroupPlace(
  asked: { cgroupDriver?: CgroupDriver; cgroupParent?: string },
  host: CgroupHost,
  instance: string,
): CgroupPlace {
  const driver = asked.cgroupDriver ?? (host.version === 2 && host.systemd ? 'systemd' : 'cgroupfs');
  if (driver === 'systemd' && !host.systemd) {
    throw unavailable(
      'Cannot use the cgroup driver "systemd": this host is not run by systemd with a message bus (dbus)',
    );
  }
  checkCgroupParent(asked.cgroupParent ?? '', driver);
  return { driver, parent: asked.cgroupParent ?? (driver === 'systemd' ? 'system.slice' : `/${instance}`) };
}
