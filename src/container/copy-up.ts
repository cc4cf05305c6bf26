import { lstatSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { errnoCode, internal } from '#/base/errors.ts';
import { run } from '#/host/process.ts';
import { resolveInRoot } from '#/host/scoped-path.ts';
import type { MountPoint } from './record.ts';
import type { RootFilesystems } from './rootfs.ts';

const DEADLINE_MS = 600_000;

/** Fills each empty volume with what the image has at its place: owners, modes, links and xattrs included. */
export async function copyUp(
  rootfs: RootFilesystems,
  id: string,
  mounts: readonly MountPoint[],
): Promise<void> {
  const empty: MountPoint[] = [];
  for (const mount of mounts) {
    if ((await readdir(mount.source)).length === 0) empty.push(mount);
  }
  if (empty.length === 0) return;
  const root = rootfs.mount(id);
  try {
    for (const { destination, source } of empty) {
      const inImage = resolveInRoot(root, destination);
      if (!isDirectory(inImage)) continue;
      // The directory itself too: its owner and mode are what the image wants there.
      const { code, stderr } = await run('cp', ['-a', '--reflink=auto', '-T', '--', inImage, source], {
        timeoutMs: DEADLINE_MS,
      });
      if (code !== 0) throw internal(`Cannot copy "${destination}": ${stderr.toString().trim()}`);
    }
  } finally {
    rootfs.unmount(id);
  }
}

function isDirectory(path: string): boolean {
  try {
    return lstatSync(path).isDirectory();
  } catch (error) {
    if (errnoCode(error) === 'ENOENT') return false;
    throw error;
  }
}
