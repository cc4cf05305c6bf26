import { internal, notFound } from '#/base/errors.ts';
import { defaultSpec } from '#/oci/default-spec.ts';
import type { OpenFiles } from '#/runtime/runtime.ts';
import type { Container } from '../containers.ts';
import type { ContainerContext } from '../context.ts';
import { readyMounts } from '../filesystem/mount-sources.ts';
import { type ContainerRecord, isRunning, type MountPoint } from '../record.ts';
import { guestHost, guestOptions } from '../start/guest.ts';
import { runtimeMount } from '../start/spec.ts';
import { runtimeOf } from '../start/start.ts';

/**
 * Opens the files of a container that has a kernel of its own. Its guest shows them while it runs; else another one is started for the
 * while, volumes and binds included, and the container's lock is held until the disposal, so that nobody starts or removes it.
 */
export async function openGuest(context: ContainerContext, container: Container): Promise<OpenFiles> {
  await using stack = new AsyncDisposableStack();
  stack.use(await context.locks.acquire(container.id));
  if (context.containers.byId(container.id) !== container)
    throw notFound(`No such container: ${container.id}`);
  const { record, task } = container;
  if (isRunning(record) && task?.files !== undefined) {
    return { files: task.files, [Symbol.asyncDispose]: async () => {} };
  }
  const { mounts, passages } = await readyMounts(context, record, stack);
  using _ = passages;
  const open = stack.use(await startGuest(context, record, mounts));
  const owned = stack.move();
  return { files: open.files, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** Starts a guest that shows the files of a container that does not run, with these mounts. The caller holds the container's lock. */
export async function startGuest(
  context: ContainerContext,
  record: ContainerRecord,
  mounts: readonly MountPoint[],
): Promise<OpenFiles> {
  const runtime = runtimeOf(context, record.runtime);
  const host = guestHost(context, runtime);
  const spec = defaultSpec({ cgroupVersion: 2 });
  spec.root = { path: '', readonly: record.hostConfig.ReadonlyRootfs ?? false };
  spec.process.args = ['-'];
  spec.linux.namespaces = spec.linux.namespaces.filter(({ type }) => type !== 'network');
  spec.mounts = [
    // It shows processes, of which there are none.
    ...spec.mounts.filter(({ type }) => type !== 'proc'),
    ...mounts.filter(({ type }) => type !== 'tmpfs').map((mount) => runtimeMount(mount, host)),
  ];
  const guest = guestOptions(context, record, []);
  const open = await runtime.openFiles?.({ spec, guest: { ...guest, user: { user: '', groups: [] } } });
  if (open === undefined) throw internal(`The runtime ${record.runtime} shows no files`);
  return open;
}
