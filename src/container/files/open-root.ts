import { closeSync, constants, fstatSync, openSync, statSync } from 'node:fs';
import { errnoCode, notFound } from '#/base/errors.ts';
import { bindMount, makeReadonly } from '#/host/mounts.ts';
import { mappedRoot } from '#/oci/id-mapping.ts';
import type { Container } from '../containers.ts';
import type { ContainerContext } from '../context.ts';
import { openMountPoint } from '../filesystem/mount-points.ts';
import { mountRootfs } from '../filesystem/mount-rootfs.ts';
import { readyMounts } from '../filesystem/mount-sources.ts';
import { type ContainerRecord, isRunning, type MountPoint } from '../record.ts';

/** A container's filesystem with all that is mounted in it, open for a while. */
export interface OpenRoot extends AsyncDisposable {
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
  await using stack = new AsyncDisposableStack();
  stack.use(await context.locks.acquire(id));
  if (context.containers.byId(id) !== container) throw notFound(`No such container: ${id}`);
  if (isRunning(record)) {
    const fd = openRunning(record.state.pid, rootfs.path(id)) ?? openDirectory(rootfs.path(id));
    return { fd, [Symbol.asyncDispose]: async () => closeSync(fd) };
  }
  if (!rootfs.isMounted(id)) {
    const { mounts, passages } = await readyMounts(context, record, stack);
    using _ = passages;
    // Unmounting the root lazily takes along what is mounted in it.
    stack.defer(() => rootfs.unmount(id));
    const root = await mountRootfs(context, record);
    mountInside(root, mounts, record);
    if (record.hostConfig.ReadonlyRootfs) makeReadonly(root);
  }
  return opened(rootfs.path(id), stack);
}

/** Opens the container's root filesystem as it is below all mounts. See `openRoot`. */
export async function openBareRoot(context: ContainerContext, container: Container): Promise<OpenRoot> {
  const { rootfs } = context;
  const { id } = container;
  await using stack = new AsyncDisposableStack();
  const lock = stack.use(await context.locks.acquire(id));
  if (context.containers.byId(id) !== container) throw notFound(`No such container: ${id}`);
  const wasMounted = rootfs.isMounted(id);
  if (!wasMounted) stack.defer(() => rootfs.unmount(id));
  await mountRootfs(context, container.record);
  if (wasMounted) lock[Symbol.dispose]();
  return opened(rootfs.path(id), stack);
}

function opened(directory: string, stack: AsyncDisposableStack): OpenRoot {
  const fd = openDirectory(directory);
  stack.defer(() => closeSync(fd));
  const owned = stack.move();
  return { fd, [Symbol.asyncDispose]: () => owned.disposeAsync() };
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

function mountInside(root: string, mounts: readonly MountPoint[], record: ContainerRecord): void {
  const owner = record.idMapping && mappedRoot(record.idMapping);
  const inOrder = mounts.toSorted((a, b) => a.destination.length - b.destination.length);
  for (const mount of inOrder) {
    const source = statSync(mount.source, { throwIfNoEntry: false });
    if (mount.type === 'tmpfs' || source === undefined) continue;
    const directory = openDirectory(root);
    try {
      const isDirectory = source.isDirectory();
      const target = openMountPoint(directory, root, mount.destination, { isDirectory, owner });
      try {
        bindMount(mount.source, `/proc/self/fd/${target}`, {
          recursive: !(mount.nonRecursive ?? false),
          readonly: !mount.readWrite,
        });
      } finally {
        closeSync(target);
      }
    } finally {
      closeSync(directory);
    }
  }
}
