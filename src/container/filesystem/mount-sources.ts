import {
  closeSync,
  constants,
  fstatSync,
  mkdirSync,
  openSync,
  rmdirSync,
  statSync,
  writeFileSync,
  rmSync,
} from 'node:fs';
import path from 'node:path';
import { errnoCode, internal, invalid, messageOf, notFound } from '#/base/errors.ts';
import { restrictionsAt } from '#/host/mount-flags.ts';
import { bindMount, unmount } from '#/host/mounts.ts';
import { openBeneath } from '#/host/rooted-file.ts';
import type { ContainerContext } from '../context.ts';
import { mappedOwners } from './mount-rootfs.ts';
import type { ContainerRecord, MountPoint } from '../record.ts';

const O_PATH = 0o10000000;

/** Mount points whose sources can be mounted as they stand. */
export interface ReadyMounts {
  mounts: MountPoint[];
  /** Gives back what is needed only until the sources are mounted: call it then. */
  passages: Disposable;
}

/**
 * Makes the sources of a container's mounts: volumes are mounted (and given back by `undo`), images too, missing directories of `-v` made.
 * A part of a volume or image is mounted aside first, so that nobody who changes the volume meanwhile leads the mount elsewhere.
 */
export async function readyMounts(
  context: ContainerContext,
  record: ContainerRecord,
  undo: AsyncDisposableStack,
): Promise<ReadyMounts> {
  using passages = new Passages(context, record.id);
  const mounts: MountPoint[] = [];
  for (const mount of record.mounts) {
    mounts.push(restricted(await ready(context, record, mount, { undo, passages })));
  }
  return { mounts, passages: passages.move() };
}

async function ready(
  context: ContainerContext,
  record: ContainerRecord,
  mount: MountPoint,
  { undo, passages }: { undo: AsyncDisposableStack; passages: Passages },
): Promise<MountPoint> {
  if (mount.type === 'tmpfs') return mount;
  if (mount.type === 'image') return { ...mount, source: await passages.ofImage(mount) };
  if (mount.type === 'bind') {
    refuseReadOnlyWords(mount);
    makeSource(mount);
    return mount;
  }
  const { name = '', destination, readWrite, subpath } = mount;
  const volume = await context.volumes.mount(name, record.id, { destination, readWrite });
  undo.defer(() => context.volumes.unmount(name, record.id));
  return { ...mount, source: subpath ? passages.into(volume, subpath) : volume };
}

/** crun 1.8 mounts with the options that it is told and no others, so that what a mount of the host forbids would be allowed. */
function restricted(mount: MountPoint): MountPoint {
  const found = mount.type === 'tmpfs' ? undefined : statSync(mount.source, { throwIfNoEntry: false });
  if (found === undefined) return mount;
  return { ...mount, restrictions: restrictionsAt(mount.source), isFile: !found.isDirectory() };
}

/** Mounts on the way from a source to a container. */
export class Passages implements Disposable {
  readonly #context: ContainerContext;
  readonly #id: string;
  #stack = new DisposableStack();
  #count = 0;

  constructor(context: ContainerContext, id: string) {
    this.#context = context;
    this.#id = id;
  }

  /** What `subpath` names below a directory, whose writers may swap names for links all the while. */
  into(base: string, subpath: string): string {
    const fd = openPart(base, subpath);
    try {
      const place = this.#place(fstatSync(fd).isDirectory());
      bindMount(`/proc/self/fd/${fd}`, place);
      this.#stack.defer(() => unmount(place, { lazy: true }));
      return place;
    } finally {
      closeSync(fd);
    }
  }

  async ofImage({ layers = [], subpath }: Pick<MountPoint, 'layers' | 'subpath'>): Promise<string> {
    const { snapshotter, rootfs } = this.#context;
    const place = this.#place(true);
    const key = path.basename(place);
    await snapshotter.remove(key);
    await snapshotter.view(key, layers);
    this.#stack.defer(() => void snapshotter.remove(key));
    const record = this.#context.containers.byId(this.#id)?.record;
    rootfs.mountView(key, place, record && (await mappedOwners(this.#context, record)));
    this.#stack.defer(() => unmount(place, { lazy: true }));
    return subpath ? this.into(place, subpath) : place;
  }

  move(): Disposable {
    const moved = this.#stack;
    this.#stack = new DisposableStack();
    return moved;
  }

  [Symbol.dispose](): void {
    this.#stack.dispose();
  }

  #place(isDirectory: boolean): string {
    const place = this.#context.paths.passage(this.#id, this.#count++);
    mkdirSync(path.dirname(place), { recursive: true, mode: 0o711 });
    if (isDirectory) mkdirSync(place, { mode: 0o711 });
    else writeFileSync(place, '', { flag: 'wx' });
    this.#stack.defer(() => (isDirectory ? rmdirSync(place) : rmSync(place)));
    return place;
  }
}

/** In the words of moby's volume/safepath. */
function openPart(base: string, subpath: string): number {
  const directory = openSync(base, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    return openBeneath(directory, path.posix.normalize(subpath), O_PATH);
  } catch (error) {
    const place = path.join(base, subpath);
    switch (errnoCode(error)) {
      case 'EXDEV':
        throw invalid(`path concatenation escapes the base directory, base: ${base}, subpath: ${subpath}`);
      case 'ENOENT':
        throw notFound(`cannot access path ${place}: lstat ${place}: no such file or directory`);
      default:
        throw notFound(`cannot access path ${place}: ${messageOf(error)}`, { cause: error });
    }
  } finally {
    closeSync(directory);
  }
}

/** Words about how a mount is read-only, of one that is not. Docker says so at the start. */
function refuseReadOnlyWords(mount: MountPoint): void {
  if (!mount.readWrite) return;
  for (const [word, given] of [
    ['ReadOnlyNonRecursive', mount.readOnlyNonRecursive],
    ['ReadOnlyForceRecursive', mount.readOnlyForceRecursive],
  ] as const) {
    if (given) throw internal(`mount options conflict: !ReadOnly && BindOptions.${word}`);
  }
}

/** Docker makes the missing source of a `-v` bind, and where `CreateMountpoint` says so. */
function makeSource(mount: MountPoint): void {
  if (!mount.createSource) return;
  try {
    mkdirSync(mount.source, { recursive: true });
  } catch (error) {
    // A file may be bound as well, and what is wrong with a path through one the runtime says.
    if (errnoCode(error) === 'EEXIST' || errnoCode(error) === 'ENOTDIR') return;
    throw invalid(`error while creating mount source path '${mount.source}': ${messageOf(error)}`, {
      cause: error,
    });
  }
}
