import { lchownSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Owner } from '#/oci/id-mapping.ts';

type Place = 'directory' | 'file' | { link: string };

/** What Docker's init layer has (moby's daemon/initlayer/setup_unix.go): programs look for /.dockerenv and /etc/mtab. */
const PLACES: Readonly<Record<string, Place>> = {
  'dev/pts': 'directory',
  'dev/shm': 'directory',
  proc: 'directory',
  sys: 'directory',
  '.dockerenv': 'file',
  'etc/resolv.conf': 'file',
  'etc/hosts': 'file',
  'etc/hostname': 'file',
  'dev/console': 'file',
  'etc/mtab': { link: '/proc/mounts' },
};

/**
 * Makes the lowest layer of every container's root filesystem in an empty directory: it shows where the image has nothing of its
 * own in those places. `owner` is the containers' root where that is another than the host's.
 */
export function makeInitLayer(directory: string, owner?: Owner): void {
  for (const [place, kind] of Object.entries(PLACES)) {
    const target = path.join(directory, place);
    mkdirSync(path.dirname(target), { recursive: true, mode: 0o755 });
    if (kind === 'directory') mkdirSync(target, { mode: 0o755 });
    else if (kind === 'file') writeFileSync(target, '', { mode: 0o755, flag: 'wx' });
    else symlinkSync(kind.link, target);
  }
  if (owner === undefined) return;
  lchownSync(directory, owner.uid, owner.gid);
  for (const name of readdirSync(directory, { recursive: true, encoding: 'utf8' })) {
    lchownSync(path.join(directory, name), owner.uid, owner.gid);
  }
}
