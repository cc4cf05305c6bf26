import { closeSync, constants, fstatSync, mkdirSync, openSync, statSync } from 'node:fs';
import { RootedDirectory } from '#/archive/rooted-directory.ts';
import { byteString } from '#/archive/tar-entry.ts';
import { errnoCode, notFound } from '#/base/errors.ts';
import { bindMount } from '#/host/mounts.ts';
import { openInRoot } from '#/host/rooted-file.ts';
import { resolveInRoot } from '#/host/scoped-path.ts';
import type { Container } from './containers.ts';
import type { ContainerContext } from './context.ts';
import { isRunning, type MountPoint } from './record.ts';

const O_PATH = 0o10000000;

/** A container's filesystem with all that is mounted in it, open for a while. */
export interface OpenRoot extends Disposable {
  /** The root directory, in the container's mount namespace while it runs. */
  readonly fd: number;
}

/**
 * Opens what the container's processes see as `/`. Of a running one that is its first process's own root, tmpfs and all; a
 * stopped one is mounted meanwhile, volumes and binds included, and its lock is held until the disposal, so that nobody starts
 * or removes it.
 */
export async function openRoot(context: ContainerContext, container: Container): Promise<OpenRoot> {
  const { rootfs } = context;
  const { id, record } = container;
  using stack = new DisposableStack();
  stack.use(await context.locks.acquire(id));
  if (context.containers.byId(id) !== container) throw notFound(`No such container: ${id}`);
  if (isRunning(record)) {
    const fd = openRunning(record.state.pid, rootfs.path(id)) ?? openDirectory(rootfs.path(id));
    return { fd, [Symbol.dispose]: () => closeSync(fd) };
  }
  const mounts = rootfs.isMounted(id) ? [] : record.mounts;
  if (!rootfs.isMounted(id)) stack.defer(() => rootfs.unmount(id));
  const root = rootfs.mount(id);
  // Unmounting the root lazily takes along what is mounted in it.
  mountInside(root, mounts);
  const fd = openDirectory(root);
  stack.defer(() => closeSync(fd));
  const owned = stack.move();
  return { fd, [Symbol.dispose]: () => owned.dispose() };
}

/** Opens the container's root filesystem as it is below all mounts. See `openRoot`. */
export async function openBareRoot(context: ContainerContext, container: Container): Promise<OpenRoot> {
  const { rootfs } = context;
  const { id } = container;
  using stack = new DisposableStack();
  const lock = stack.use(await context.locks.acquire(id));
  if (context.containers.byId(id) !== container) throw notFound(`No such container: ${id}`);
  const wasMounted = rootfs.isMounted(id);
  if (!wasMounted) stack.defer(() => rootfs.unmount(id));
  const fd = openDirectory(rootfs.mount(id));
  stack.defer(() => closeSync(fd));
  if (wasMounted) lock[Symbol.dispose]();
  const owned = stack.move();
  return { fd, [Symbol.dispose]: () => owned.dispose() };
}

/** Undefined when the process has gone, or another has its number by now: its root is then not the one that we mounted. */
function openRunning(pid: number, rootfs: string): number | undefined {
  let fd: number | undefined;
  try {
    fd = openDirectory(`/proc/${pid}/root`);
    const [seen, ours] = [fstatSync(fd), statSync(rootfs)];
    if (seen.dev === ours.dev && seen.ino === ours.ino) return fd;
  } catch (error) {
    if (errnoCode(error) !== 'ENOENT' && errnoCode(error) !== 'ESRCH') throw error;
  }
  if (fd !== undefined) closeSync(fd);
  return undefined;
}

function openDirectory(path: string): number {
  return openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
}

function mountInside(root: string, mounts: readonly MountPoint[]): void {
  const inOrder = mounts.toSorted((a, b) => a.destination.length - b.destination.length);
  for (const mount of inOrder) {
    if (mount.type === 'tmpfs' || mount.source === '') continue;
    const source = mount.subpath ? resolveInRoot(mount.source, mount.subpath) : mount.source;
    const kind = statSync(source, { throwIfNoEntry: false });
    if (kind === undefined) continue;
    const directory = openDirectory(root);
    try {
      const target = openTarget(directory, root, mount.destination, kind.isDirectory());
      if (target === undefined) continue;
      try {
        bindMount(source, `/proc/self/fd/${target}`, { recursive: !(mount.nonRecursive ?? false) });
      } finally {
        closeSync(target);
      }
    } finally {
      closeSync(directory);
    }
  }
}

/** Of a container that never ran the mount points are not there yet. A file's is not made: there is nothing to copy beside it. */
function openTarget(
  directory: number,
  root: string,
  destination: string,
  isDirectory: boolean,
): number | undefined {
  try {
    return openInRoot(directory, destination, O_PATH);
  } catch (error) {
    if (errnoCode(error) !== 'ENOENT') throw error;
    if (!isDirectory) return undefined;
  }
  using rooted = new RootedDirectory(root, {
    create: (path) => mkdirSync(path, 0o755),
    isMissing: () => false,
  });
  rooted.walk(byteString(destination).split('/'), true);
  return openInRoot(directory, destination, O_PATH);
}
