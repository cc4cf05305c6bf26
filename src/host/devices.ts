import { lstatSync, readdirSync, statSync, type Stats } from 'node:fs';
import path from 'node:path';
import { errnoCode } from '#/base/errors.ts';

/** A device node as a container is to have it. */
export interface HostDevice {
  type: 'c' | 'b';
  /** In the container. */
  path: string;
  rdev: number;
  mode: number;
  uid: number;
  gid: number;
  /** Of the letters r, w and m. */
  access?: string;
}

// Not devices of the host but of the namespace they are in; the runtime makes the container's own.
const OWN = new Set(['pts', 'shm', 'fd', 'mqueue', 'console', '.lxc', '.udev', 'hugepages']);

/** The device at `source`, or all below it when it is a directory. Links are followed at the top alone; nothing there throws ENOENT. */
export function devicesAt(source: string, destination: string = source, access?: string): HostDevice[] {
  const stat = statSync(source);
  if (!stat.isDirectory()) return device(stat, destination, access);
  return readdirSync(source).flatMap((name) => {
    if (OWN.has(name)) return [];
    const file = path.join(source, name);
    try {
      const entry = lstatSync(file);
      if (entry.isSymbolicLink()) return [];
      const inside = path.join(destination, name);
      return entry.isDirectory() ? devicesAt(file, inside, access) : device(entry, inside, access);
    } catch (error) {
      // Devices come and go.
      if (errnoCode(error) === 'ENOENT') return [];
      throw error;
    }
  });
}

function device(stat: Stats, destination: string, access?: string): HostDevice[] {
  const type = stat.isBlockDevice() ? 'b' : stat.isCharacterDevice() ? 'c' : undefined;
  if (type === undefined) return [];
  return [
    {
      type,
      path: destination,
      rdev: stat.rdev,
      mode: stat.mode & 0o7777,
      uid: stat.uid,
      gid: stat.gid,
      access,
    },
  ];
}
