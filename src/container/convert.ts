import path from 'node:path';
import { conflict, internal, notFound } from '#/base/errors.ts';
import { syncFilesystem } from '#/host/files.ts';
import { type IdMapping, mappedRoot } from '#/oci/id-mapping.ts';
import type { Container } from './containers.ts';
import { type ContainerContext, publish } from './context.ts';
import { admitToData, snapshotOptions } from './create/create.ts';
import {
  hasOwnKernel,
  isolatedRuntime,
  refuseHostKernelOptions,
  refuseUnmappedShares,
} from './create/isolation.ts';
import { joinedMapping } from './create/namespace-options.ts';
import { copyFromGuest, copyIntoGuest } from './files/move-top.ts';
import { startGuest } from './files/open-guest.ts';
import type { ContainerRecord } from './record.ts';

/**
 * Puts a container that does not run behind the other wall, with all that it wrote: the same container in all else. What it wrote is copied into a
 * second snapshot; then the record says which of the two is right, and the first goes. A crash before that leaves the container as it
 * was, one after it is settled by settleConversion().
 */
export async function convertContainer(
  context: ContainerContext,
  container: Container,
  isolation: string,
): Promise<void> {
  const { containers, locks, snapshotter } = context;
  const { id } = container;
  using _ = await locks.acquire(id);
  if (containers.byId(id) !== container) throw notFound(`No such container: ${id}`);
  const { record } = container;
  const { isGuest, ...changed } = await behindOtherWall(context, record, isolation);
  if (isGuest === isBehindGuest(context, record)) return;
  refuseUnstopped(record);
  const key = secondKey(id);
  await snapshotter.remove(key);
  await snapshotter.prepare(key, record.layers, snapshotOptions(context, changed.hostConfig, isGuest));
  await using undo = new AsyncDisposableStack();
  undo.defer(() => snapshotter.remove(key));
  await copyWritten(context, record, { ...record, ...changed, id: key });
  if (changed.idMapping !== undefined) admitToData(context, id, changed.idMapping);
  const before = { ...record };
  Object.assign(record, changed);
  try {
    containers.save(container, { durable: true });
  } catch (error) {
    Object.assign(record, before);
    throw error;
  }
  undo.move();
  snapshotter.replace(id, key);
  publish(context.events, container, 'convert', { isolation });
}

/** Completes a conversion of an engine process before this one, or takes it back: as the record says. */
export function settleConversion(context: ContainerContext, { id, record }: Container): void {
  const { snapshotter } = context;
  const [first, second] = [isGuestSnapshot(context, id), isGuestSnapshot(context, secondKey(id))];
  if (second === undefined) return;
  const wanted = isBehindGuest(context, record);
  if (first !== wanted && second === wanted) snapshotter.replace(id, secondKey(id));
  else void snapshotter.remove(secondKey(id));
}

function secondKey(id: string): string {
  return `${id}.converted`;
}

function isBehindGuest({ runtimes }: ContainerContext, { runtime }: ContainerRecord): boolean {
  return hasOwnKernel(runtimes.get(runtime));
}

/** Undefined when there is no such snapshot. */
function isGuestSnapshot({ snapshotter }: ContainerContext, key: string): boolean | undefined {
  if (!snapshotter.listSnapshots().includes(key)) return undefined;
  return snapshotter.mounts(key).disk?.guest ?? false;
}

/** What changes in the record. Refuses as `create` does what the container has and the other wall does not. */
async function behindOtherWall(
  context: ContainerContext,
  record: ContainerRecord,
  isolation: string,
): Promise<{
  isGuest: boolean;
  runtime: string;
  hostConfig: ContainerRecord['hostConfig'];
  idMapping: IdMapping | undefined;
}> {
  const { Isolation: _, Runtime: __, ...hostConfig } = record.hostConfig;
  const runtime = isolatedRuntime({ Isolation: isolation }, context.runtimes, context.defaults.runtime);
  const isGuest = hasOwnKernel(context.runtimes.get(runtime));
  if (isGuest) refuseHostKernelOptions(hostConfig);
  const mapping = await context.userNamespaces.mappingFor(hostConfig, joinedMapping(context, hostConfig));
  if (isGuest && mapping !== undefined) refuseUnmappedShares(record.mounts);
  return { isGuest, runtime, hostConfig, idMapping: isGuest ? undefined : mapping };
}

function refuseUnstopped({ name, state: { status } }: ContainerRecord): void {
  if (status === 'created' || status === 'exited') return;
  throw conflict(
    `cannot convert container "/${name}": container is ${status}: stop the container before converting`,
  );
}

/** `to` is the same container as it will be, by the key of its second snapshot. */
async function copyWritten(
  context: ContainerContext,
  from: ContainerRecord,
  to: ContainerRecord,
): Promise<void> {
  const { snapshotter, rootfs } = context;
  const isIntoGuest = isBehindGuest(context, to);
  const [host, guest] = isIntoGuest ? [from, to] : [to, from];
  const { upper } = snapshotter.mounts(host.id);
  if (upper === undefined) throw internal(`Container ${from.id} has nothing of its own`);
  {
    using _ = rootfs.openTop(host.id, host.idMapping && mappedRoot(host.idMapping));
    await using open = await startGuest(context, guest, []);
    if (isIntoGuest) {
      await copyIntoGuest(upper, open.files, host.idMapping);
    } else {
      await copyFromGuest(open.files, upper, host.idMapping);
      syncFilesystem(upper);
    }
  }
  const { disk } = snapshotter.mounts(to.id);
  if (disk !== undefined) syncFilesystem(path.dirname(disk.file));
}
