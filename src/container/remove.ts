import type { Container } from './containers.ts';
import { type ContainerContext, publish } from './context.ts';

/**
 * Deletes a container that does not run, and with `volumes` the ones made for it alone. The caller holds its lock. A crash
 * in between leaves a record that says `removing`, and the next start finishes the work.
 */
export async function removeContainer(
  context: ContainerContext,
  container: Container,
  options: { volumes: boolean },
): Promise<void> {
  const { record } = container;
  record.state.status = 'removing';
  context.containers.save(container);
  context.rootfs.unmount(record.id);
  await context.snapshotter.remove(record.id);
  context.trash.exec.discard(context.paths.bundle(record.id));
  context.trash.exec.discard(context.paths.task(record.id));
  context.trash.data.discard(context.paths.data(record.id));
  context.containers.remove(container);
  for (const pending of container.pendingAttaches) pending.reject(new Error('The container was removed'));
  container.pendingAttaches.clear();
  publish(context.events, container, 'destroy');
  container.announceRemoval();
  if (options.volumes) {
    for (const mount of record.mounts) {
      // Another container may have come to use it by its name; then it stays.
      if (mount.anonymous && mount.name !== undefined) await context.volumes.removeUnused(mount.name);
    }
  }
}
