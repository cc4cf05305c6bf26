import { closeSync, constants, lchownSync, mkdirSync, openSync, statSync } from 'node:fs';
import { RootedDirectory } from '#/archive/rooted-directory.ts';
import { byteString } from '#/archive/tar-entry.ts';
import { errnoCode } from '#/base/errors.ts';
import { openInRoot } from '#/host/rooted-file.ts';
import type { Owner } from '#/oci/id-mapping.ts';
import type { MountPoint } from '../record.ts';

const O_PATH = 0o10000000;
const NEW_FILE = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;

/**
 * Makes the places of a container's mounts in its root filesystem, as runc would: crun 1.8 gives directories a sticky bit and files no
 * mode for others, and both would be in an image made of the container.
 */
export function makeMountPoints(root: string, mounts: readonly MountPoint[], owner?: Owner): void {
  const places = mounts.map(({ destination }) => destination);
  const directory = openSync(root, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    for (const { type, source, destination } of mounts) {
      // What is mounted over when the runtime comes to it has no place here.
      const isInside = places.some((place) => destination.startsWith(`${place}/`));
      if (isInside || /^\/(dev|proc|sys)\//.test(destination)) continue;
      const kind = type === 'tmpfs' ? undefined : statSync(source, { throwIfNoEntry: false });
      if (type !== 'tmpfs' && kind === undefined) continue;
      const isDirectory = kind?.isDirectory() ?? true;
      closeSync(openMountPoint(directory, root, destination, { isDirectory, owner }));
    }
  } finally {
    closeSync(directory);
  }
}

/** Opens the place of a mount below the open directory of `root`; it is made where there is none, for `owner` if not for the engine. */
export function openMountPoint(
  directory: number,
  root: string,
  destination: string,
  { isDirectory, owner }: { isDirectory: boolean; owner: Owner | undefined },
): number {
  try {
    return openInRoot(directory, destination, O_PATH);
  } catch (error) {
    if (errnoCode(error) !== 'ENOENT') throw error;
  }
  const give = (path: Buffer): void => {
    if (owner !== undefined) lchownSync(path, owner.uid, owner.gid);
  };
  using rooted = new RootedDirectory(root, {
    create: (path) => {
      mkdirSync(path, 0o755);
      give(path);
    },
    isMissing: () => false,
  });
  const names = byteString(destination).split('/');
  const file = isDirectory ? undefined : names.pop();
  const parent = rooted.walk(names, true);
  if (file !== undefined && parent !== undefined) {
    const path = RootedDirectory.at(parent, file);
    closeSync(openSync(path, NEW_FILE, 0o755));
    give(path);
  }
  return openInRoot(directory, destination, O_PATH);
}
