import { conflict, notImplemented } from '#/base/errors.ts';
import { removeNetns, shareNetns } from '#/host/namespaces.ts';
import { outsideStandIns } from '#/network/guest-link.ts';
import type { GuestNetwork, Listener, Task } from '#/runtime/runtime.ts';
import type { Container } from '../containers.ts';
import type { ContainerContext } from '../context.ts';
import { hasOwnKernel } from '../create/isolation.ts';
import { type ContainerRecord, isRunning } from '../record.ts';

/** Joins a guest to a network namespace: a path, or `host`. It stays as long as the guest runs, as it would with a process in it. */
export function layGuestLink(
  { networks, paths }: ContainerContext,
  record: ContainerRecord,
  shared: string,
  undo: AsyncDisposableStack,
): GuestNetwork {
  const kept = paths.secondNetns(record.id);
  if (shared !== 'host') {
    undo.defer(() => removeNetns(kept));
    shareNetns(shared, kept);
  }
  const { link, network } = networks.guestLinks.open({
    containerId: record.id,
    between: paths.netns(record.id),
    ...(shared === 'host' ? {} : { netns: kept }),
  });
  undo.defer(() => networks.guestLinks.close(link));
  record.guestLink = link;
  return network;
}

/** Opens the ports that wait in a guest to whom it shares a network with, from now to its end. */
export function publishListeners({ networks }: ContainerContext, task: Task): void {
  task.watchListeners?.((listeners) => networks.guestLinks.publish(task.id, listeners));
}

/** A guest has its network to itself, until somebody joins it. */
export async function openToOthers(context: ContainerContext, target: Container): Promise<void> {
  if (!hasOwnKernel(context.runtimes.get(target.record.runtime))) return;
  using _ = await context.locks.acquire(target.id);
  const { record, task } = target;
  if (!isRunning(record) || task === undefined) throw conflict(`container ${record.name} is not running`);
  if (record.guestLink !== undefined) return;
  const [endpoint] = record.endpoints;
  const link = endpoint && context.networks.guestLinks.linkToShare(endpoint);
  if (endpoint === undefined || link === undefined) {
    throw notImplemented(`the network of ${record.name} cannot be shared: it is a microVM without one`);
  }
  let listeners: Listener[] = [];
  const first = Promise.withResolvers<void>();
  task.watchListeners?.((each) => {
    listeners = each;
    context.networks.guestLinks.publish(record.id, each);
    first.resolve();
  });
  await Promise.race([first.promise, task.exited]);
  await task.shareNetwork?.(outsideStandIns(link));
  const between = context.paths.secondNetns(record.id);
  context.networks.makeNetns(between, {});
  // An engine that finds this finishes it.
  record.guestLink = link;
  context.containers.save(target);
  context.networks.guestLinks.share(link, endpoint, between, listeners);
}

/** Finishes what an engine that was killed had begun with the network of a guest that runs. */
export function restoreGuestNetwork({ networks, paths }: ContainerContext, record: ContainerRecord): void {
  const { guestLink: link, endpoints } = record;
  const [endpoint] = endpoints;
  if (link === undefined || endpoint === undefined || link.netns !== endpoint.netns) return;
  if (!networks.guestLinks.isWhole(link))
    networks.guestLinks.share(link, endpoint, paths.secondNetns(record.id), []);
}
