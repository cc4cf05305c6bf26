import { lchownSync, lstatSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { resolveInRoot } from '#/host/scoped-path.ts';
import type { Owner } from '#/oci/id-mapping.ts';
import { makeDirectories } from './make-directories.ts';

type Place = 'directory' | 'file' | { link: string };

/** What Docker's init layer has (moby's daemon/initlayer/setup_unix.go): programs look for /.dockerenv and /etc/mtab. */
const PLACES: Readonly<Record<string, Place>> = {
  '/dev/pts': 'directory',
  '/dev/shm': 'directory',
  '/proc': 'directory',
  '/sys': 'directory',
  '/.dockerenv': 'file',
  '/etc/resolv.conf': 'file',
  '/etc/hosts': 'file',
  '/etc/hostname': 'file',
  '/dev/console': 'file',
  '/etc/mtab': { link: '/proc/mounts' },
};

/** Makes what is missing of it in a root filesystem that no process is in yet; `owner` is the container's root where that is another. */
export function makeInitPlaces(root: string, owner?: Owner): void {
  for (const [place, kind] of Object.entries(PLACES)) {
    const parent = resolveInRoot(root, path.posix.dirname(place));
    const target = path.join(parent, path.posix.basename(place));
    if (lstatSync(target, { throwIfNoEntry: false }) !== undefined) continue;
    makeDirectories(parent, owner);
    if (kind === 'directory') mkdirSync(target, { mode: 0o755 });
    else if (kind === 'file') writeFileSync(target, '', { mode: 0o755, flag: 'wx' });
    else symlinkSync(kind.link, target);
    if (owner !== undefined) lchownSync(target, owner.uid, owner.gid);
  }
}
