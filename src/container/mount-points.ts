import { closeSync, constants, mkdirSync, openSync, statSync } from 'node:fs';
import { RootedDirectory } from '#/archive/rooted-directory.ts';
import { byteString } from '#/archive/tar-entry.ts';
import { errnoCode } from '#/base/errors.ts';
import { openInRoot } from '#/host/rooted-file.ts';
import type { MountPoint } from './record.ts';

const O_PATH = 0o10000000;
const NEW_FILE = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;

/**
 * Makes the places of a container's mounts in its root filesystem, as runc would: crun 1.8 gives directories a sticky bit and files no
 * mode for others, and both would be in an image made of the container.
 */
export function makeMountPoints(root: string, mounts: readonly MountPoint[]): void {
  const places = mounts.map(({ destination }) => destination);
  const directory = openSync(root, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    for (const { type, source, destination } of mounts) {
      // What is mounted over when the runtime comes to it has no place here.
      const isInside = places.some((place) => destination.startsWith(`${place}/`));
      if (isInside || /^\/(dev|proc|sys)\//.test(destination)) continue;
      const kind = type === 'tmpfs' ? undefined : statSync(source, { throwIfNoEntry: false });
      if (type !== 'tmpfs' && kind === undefined) continue;
      closeSync(openMountPoint(directory, root, destination, kind?.isDirectory() ?? true));
    }
  } finally {
    closeSync(directory);
  }
}

/** Opens the place of a mount below the open directory of `root`; it is made where there is none. */
export function openMountPoint(
  directory: number,
  root: string,
  destination: string,
  isDirectory: boolean,
): number {
  try {
    return openInRoot(directory, destination, O_PATH);
  } catch (error) {
    if (errnoCode(error) !== 'ENOENT') throw error;
  }
  using rooted = new RootedDirectory(root, {
    create: (path) => mkdirSync(path, 0o755),
    isMissing: () => false,
  });
  const names = byteString(destination).split('/');
  const file = isDirectory ? undefined : names.pop();
  const parent = rooted.walk(names, true);
  if (file !== undefined && parent !== undefined) {
    closeSync(openSync(RootedDirectory.at(parent, file), NEW_FILE, 0o755));
  }
  return openInRoot(directory, destination, O_PATH);
}
