import { readdirSync, rmdirSync, rmSync, statSync, unlinkSync } from 'node:fs';
import path from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { errnoCode, messageOf } from '#/base/errors.ts';
import { shortId } from '#/base/ids.ts';
import { nowTimestamp } from '#/base/time.ts';
import { unmount } from '#/host/mounts.ts';
import { removeNetns } from '#/host/namespaces.ts';
import { removeNamespace } from '#/host/user-namespaces.ts';
import type { Task } from '#/runtime/runtime.ts';
import type { Container } from '../containers.ts';
import type { ContainerContext } from '../context.ts';
import { settleConversion } from '../convert.ts';
import { type Exits, releaseRun } from './exits.ts';
import { isRunning } from '../record.ts';
import { removeContainer } from '../remove.ts';
import { startsWithEngine } from './restart-policy.ts';
import { restoreGuestNetwork } from '../start/guest-network.ts';
import { runtimeOf, startContainer } from '../start/start.ts';

// What Docker records for a container whose end nobody saw.
const UNKNOWN_EXIT = 255;

/**
 * Takes up the containers of the engine process before this one: running ones go on, ended ones are settled, half-done work
 * is finished or taken back. Called once, before any client is served.
 */
export async function restoreContainers(context: ContainerContext, exits: Exits): Promise<void> {
  const { containers, logger } = context;
  const found = new Map<Container, Task>();
  for (const container of containers.all()) {
    try {
      const task = await loadTask(context, container);
      if (task !== undefined) found.set(container, task);
    } catch (error) {
      logger.warn('Cannot find the run of a container', {
        id: shortId(container.id),
        error: messageOf(error),
      });
    }
  }
  // Addresses and ports of what runs are taken before anything new asks for one.
  const endpoints = [...found.keys()].flatMap((container) => container.record.endpoints);
  const links = [...found.keys()].flatMap((container) => container.record.guestLink ?? []);
  await context.networks.restore(endpoints, links);
  for (const { record } of found.keys()) restoreGuestNetwork(context, record);
  // Before anything that has ended gives its volumes back.
  for (const { record } of found.keys()) {
    for (const { type, name = '' } of record.mounts) {
      if (type === 'volume') context.volumes.adopt(name, record.id);
    }
  }
  sweepOrphans(context);
  for (const container of containers.all()) {
    try {
      await settle(context, exits, container, found.get(container));
    } catch (error) {
      logger.error('Cannot restore a container', { id: shortId(container.id), error: messageOf(error) });
    }
  }
  await context.volumes.releaseUnheld();
  await removeStraySnapshots(context);
}

/** Starts what its restart policy wants running when the engine starts. Called when clients are served. */
export async function restartPolicies(context: ContainerContext, exits: Exits): Promise<void> {
  for (const container of inJoinOrder(context.containers.all())) {
    const { hostConfig, state, restartCount } = container.record;
    if (state.status === 'restarting') {
      exits.scheduleRestart(container);
      continue;
    }
    const wanted =
      state.status === 'exited' &&
      startsWithEngine(hostConfig.RestartPolicy, {
        startedBefore: !state.startedAt.startsWith('0001'),
        exitCode: state.exitCode,
        restarts: restartCount,
        stoppedByUser: state.stoppedByUser,
      });
    if (!wanted) continue;
    try {
      using _ = await context.locks.acquire(container.id);
      if (isRunning(container.record)) continue;
      container.record.restartCount = 0;
      await startContainer(context, container);
      if (container.task !== undefined) exits.watch(container, container.task);
    } catch (error) {
      context.logger.warn('Cannot restart a container', {
        id: shortId(container.id),
        error: messageOf(error),
      });
    }
  }
}

/** Containers whose namespaces others join, and to which others have links, before those others. */
function inJoinOrder(containers: readonly Container[]): Container[] {
  const byId = new Map(containers.map((container) => [container.id, container]));
  const ordered = new Set<Container>();
  const seen = new Set<Container>();
  const visit = (container: Container): void => {
    if (seen.has(container)) return;
    seen.add(container);
    for (const id of needs(container)) {
      const needed = byId.get(id);
      if (needed !== undefined) visit(needed);
    }
    ordered.add(container);
  };
  for (const container of containers) visit(container);
  return [...ordered];
}

function needs({ record: { hostConfig, links = [] } }: Container): string[] {
  const joined = [hostConfig.NetworkMode, hostConfig.IpcMode, hostConfig.PidMode].flatMap(
    (mode) => /^container:(.+)$/.exec(mode ?? '')?.[1] ?? [],
  );
  return [...joined, ...links.map(({ id }) => id)];
}

async function loadTask(context: ContainerContext, container: Container): Promise<Task | undefined> {
  return runtimeOf(context, container.record.runtime).load(container.id, context.paths.task(container.id));
}

async function settle(
  context: ContainerContext,
  exits: Exits,
  container: Container,
  task: Task | undefined,
): Promise<void> {
  const { record } = container;
  using _ = await context.locks.acquire(container.id);
  if (record.state.status === 'removing') {
    await task?.remove();
    await releaseRun(context, container);
    await removeContainer(context, container, { volumes: false });
    return;
  }
  settleConversion(context, container);
  if (!context.snapshotter.listSnapshots().includes(container.id)) {
    // Its making was cut off before the client had an answer.
    context.logger.info('Dropping a container that was never finished', { id: shortId(container.id) });
    await removeContainer(context, container, { volumes: false });
    return;
  }
  const wasRunning = isRunning(record);
  if (task !== undefined && (wasRunning || (await isAlive(task)))) {
    // Running, or ended while nobody looked: then its end is settled like any other. Or it started, and nobody was told.
    container.task = task;
    if (!wasRunning) Object.assign(record.state, { status: 'running', startedAt: nowTimestamp() });
    if (task.pid > 0) record.state.pid = task.pid;
    context.containers.save(container);
    exits.watch(container, task);
    return;
  }
  // A start that was cut off before the process ran, an end that was recorded but not cleared away, or a reboot.
  await task?.remove();
  await releaseRun(context, container);
  if (wasRunning) {
    Object.assign(record.state, {
      status: 'exited',
      pid: 0,
      exitCode: UNKNOWN_EXIT,
      finishedAt: nowTimestamp(),
    });
  }
  context.containers.save(container);
  if (record.hostConfig.AutoRemove && record.state.status === 'exited')
    await removeContainer(context, container, { volumes: true });
}

/** Whether its process runs: it was started, and has not ended as far as the monitor or its record say. */
async function isAlive(task: Task): Promise<boolean> {
  if (task.pid === 0) return false;
  const ended = task.exited.then(() => true);
  return !(await Promise.race([ended, setImmediate(false)]));
}

/** Namespaces, mounts and run directories that no container's record knows. */
function sweepOrphans(context: ContainerContext): void {
  const { containers, paths, rootfs } = context;
  const known = containers.all();
  const namespaces = new Set(known.flatMap(({ id }) => [paths.netns(id), paths.secondNetns(id)]));
  for (const name of entries(paths.namespaces)) {
    const file = path.join(paths.namespaces, name);
    if (!namespaces.has(file)) removeNetns(file);
  }
  for (const name of entries(paths.passages)) {
    const place = path.join(paths.passages, name);
    unmount(place, { lazy: true });
    // Never with what is in it: were the mount still there, that would be a volume.
    if (statSync(place).isDirectory()) rmdirSync(place);
    else unlinkSync(place);
  }
  const userNamespaces = new Set(known.map(({ id }) => paths.userns(id)));
  for (const name of entries(paths.userNamespaces)) {
    const file = path.join(paths.userNamespaces, name);
    // Those of mappings have a dot in their names, and stay.
    if (!name.includes('.') && !userNamespaces.has(file)) removeNamespace(file);
  }
  for (const id of entries(paths.bundles)) {
    if (containers.byId(id) !== undefined) continue;
    rootfs.unmount(id);
    unmount(paths.shm(id), { lazy: true });
    rmSync(path.join(paths.bundles, id), { recursive: true, force: true });
  }
}

/** Snapshots whose container is gone: a removal that was cut off, or a crash before the record was written. */
async function removeStraySnapshots(context: ContainerContext): Promise<void> {
  for (const key of context.snapshotter.listSnapshots()) {
    if (context.containers.byId(key) === undefined) await context.snapshotter.remove(key);
  }
}

function entries(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch (error) {
    if (errnoCode(error) === 'ENOENT') return [];
    throw error;
  }
}
