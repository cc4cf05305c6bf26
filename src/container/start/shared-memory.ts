import { chownSync, existsSync, mkdirSync } from 'node:fs';
import { invalid } from '#/base/errors.ts';
import { mountTmpfs, unmount } from '#/host/mounts.ts';
import { mappedRoot } from '#/oci/id-mapping.ts';
import type { Container } from '../containers.ts';
import type { ContainerContext } from '../context.ts';
import { parseIpcMode } from '../namespace-modes.ts';
import type { ContainerRecord } from '../record.ts';

const SHM = '/dev/shm';

/** What a container has at /dev/shm: a tmpfs of its own that the runtime mounts, nothing, or what is mounted on the host already. */
export type SharedMemory = 'private' | 'none' | { source: string };

/** Mounts what others may come to share. With something of the user's at /dev/shm there is nothing to share, as with Docker. */
export function makeSharedMemory(
  { paths }: ContainerContext,
  record: ContainerRecord,
  undo: AsyncDisposableStack,
): SharedMemory {
  if (hasOwnMount(record)) return 'none';
  const source = paths.shm(record.id);
  mkdirSync(source, { recursive: true, mode: 0o711 });
  mountTmpfs(source, {
    size: record.hostConfig.ShmSize,
    mode: 0o1777,
    flags: ['noexec', 'nosuid', 'nodev'],
  });
  if (record.idMapping !== undefined) {
    const { uid, gid } = mappedRoot(record.idMapping);
    chownSync(source, uid, gid);
  }
  undo.defer(() => releaseSharedMemory({ paths }, record));
  return { source };
}

/** Of a running container, for one that joins its IPC. Throws in Docker's words when it keeps its own to itself. */
export function sharedMemoryOf(context: ContainerContext, container: Container): { source: string } {
  const { record } = container;
  const mode = parseIpcMode(record.hostConfig.IpcMode);
  if (mode.kind === 'host') return { source: SHM };
  const target = mode.kind === 'container' ? context.containers.find(mode.reference) : undefined;
  if (target !== undefined) return sharedMemoryOf(context, target);
  const source = context.paths.shm(record.id);
  if (mode.kind !== 'shareable' || hasOwnMount(record) || !existsSync(source)) {
    throw invalid(
      `container ${record.id}: non-shareable IPC (hint: use IpcMode:shareable for the donor container)`,
    );
  }
  return { source };
}

/** Those that joined keep it until they end. Repeatable. */
export function releaseSharedMemory(
  { paths }: Pick<ContainerContext, 'paths'>,
  record: ContainerRecord,
): void {
  if (parseIpcMode(record.hostConfig.IpcMode).kind === 'shareable')
    unmount(paths.shm(record.id), { lazy: true });
}

function hasOwnMount({ mounts }: ContainerRecord): boolean {
  return mounts.some(({ destination }) => destination === SHM);
}
