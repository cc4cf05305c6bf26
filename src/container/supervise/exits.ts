import { messageOf } from '#/base/errors.ts';
import { shortId } from '#/base/ids.ts';
import type { Phases } from '#/base/log.ts';
import { removeNetns } from '#/host/namespaces.ts';
import { removeNamespace } from '#/host/user-namespaces.ts';
import type { Exit, Task } from '#/runtime/runtime.ts';
import type { Container } from '../containers.ts';
import { type ContainerContext, publish } from '../context.ts';
import type { Health } from './health.ts';
import { removeContainer } from '../remove.ts';
import { decideRestart } from './restart-policy.ts';
import { publishListeners } from '../start/guest-network.ts';
import { releaseSharedMemory } from '../start/shared-memory.ts';
import { startContainer } from '../start/start.ts';

/** Owns all that follows the end of a container's process: what it held is given back, the record says so, policies act. */
export class Exits {
  readonly #context: ContainerContext;
  readonly #health: Health;
  readonly #restarts = new Map<string, NodeJS.Timeout>();
  readonly #ooms = new Map<string, Disposable>();
  #closed = false;

  constructor(context: ContainerContext, health: Health) {
    this.#context = context;
    this.#health = health;
  }

  /** Called once for each run, by whoever started it or found it again. */
  watch(container: Container, task: Task): void {
    this.#health.watch(container);
    // Without a limit of its own nothing is killed for want of it.
    if (container.record.hostConfig.Memory) {
      this.#ooms.set(
        container.id,
        task.watchOomKills(() => this.#onOomKill(container)),
      );
    }
    if (container.record.guestLink !== undefined) publishListeners(this.#context, task);
    void this.#await(container, task);
  }

  /** One of its processes: the first one may go on without it. */
  #onOomKill(container: Container): void {
    container.record.state.oomKilled = true;
    this.#context.containers.save(container);
    publish(this.#context.events, container, 'oom');
  }

  #unwatchOom({ id }: Container): void {
    this.#ooms.get(id)?.[Symbol.dispose]();
    this.#ooms.delete(id);
  }

  /** Containers run on; this engine no longer looks after them. */
  close(): void {
    this.#closed = true;
    this.#health.close();
    for (const timer of this.#restarts.values()) clearTimeout(timer);
    for (const watch of this.#ooms.values()) watch[Symbol.dispose]();
  }

  /** A restart that waits for its time is called off. */
  cancelRestart(container: Container): void {
    clearTimeout(this.#restarts.get(container.id));
    this.#restarts.delete(container.id);
    container.record.state.restartDelayMs = undefined;
    if (container.record.state.status === 'restarting') {
      container.record.state.status = 'exited';
      this.#context.containers.save(container);
      container.announceExit({ code: container.record.state.exitCode });
    }
  }

  async #await(container: Container, task: Task): Promise<void> {
    const exit = await task.exited;
    if (this.#closed) return;
    try {
      await this.#onExit(container, task, exit);
    } catch (error) {
      this.#context.logger.error('Cannot settle the exit of a container', {
        id: shortId(container.id),
        error: messageOf(error),
      });
    }
  }

  async #onExit(container: Container, task: Task, exit: Exit): Promise<void> {
    const context = this.#context;
    const { record } = container;
    {
      using _ = await context.locks.acquire(container.id);
      if (container.task !== task) return;
      const phases = context.logger.phases('exit');
      this.#health.unwatch(container);
      this.#unwatchOom(container);
      const oomTold = record.state.oomKilled;
      await releaseRun(context, container, phases);
      const ranMs = exit.at.getTime() - Date.parse(record.state.startedAt);
      Object.assign(record.state, {
        status: 'exited',
        pid: 0,
        exitCode: exit.code,
        oomKilled: exit.oomKilled || oomTold,
        finishedAt: exit.at.toISOString(),
      });
      record.state.error = exit.startError ?? exit.breakdown ?? record.state.error;
      const restart = decideRestart(record.hostConfig.RestartPolicy, {
        code: exit.code,
        ranMs,
        restarts: record.restartCount,
        stoppedByUser: record.state.stoppedByUser,
        lastDelayMs: record.state.restartDelayMs ?? 0,
      });
      record.state.restartDelayMs = restart?.delayMs;
      if (restart !== undefined) this.scheduleRestart(container);
      context.containers.save(container);
      // Only now: what the monitor left is all that knows the exit code until the record does.
      await task.remove();
      container.task = undefined;
      phases.mark('task');
      if (exit.oomKilled && !oomTold) publish(context.events, container, 'oom');
      publish(context.events, container, 'die', {
        exitCode: String(exit.code),
        execDuration: String(Math.max(0, Math.floor(ranMs / 1000))),
      });
      phases.done({ id: shortId(container.id), code: exit.code });
      if (restart !== undefined) return;
      container.announceExit({
        code: exit.code,
        ...(exit.startError === undefined ? {} : { error: exit.startError }),
      });
      if (record.hostConfig.AutoRemove) {
        await removeContainer(context, container, { volumes: true });
        return;
      }
    }
  }

  /** After as long as the record says: also for an engine that finds a container waiting. The caller saves the record. */
  scheduleRestart(container: Container): void {
    const { state } = container.record;
    state.status = 'restarting';
    const timer = setTimeout(() => void this.#restart(container), state.restartDelayMs ?? 0);
    this.#restarts.set(container.id, timer);
  }

  async #restart(container: Container): Promise<void> {
    const context = this.#context;
    using _ = await context.locks.acquire(container.id);
    this.#restarts.delete(container.id);
    if (this.#closed || container.record.state.status !== 'restarting') return;
    container.record.restartCount++;
    try {
      await startContainer(context, container);
      if (container.task !== undefined) this.watch(container, container.task);
    } catch (error) {
      context.logger.warn('Cannot restart a container', {
        id: shortId(container.id),
        error: messageOf(error),
      });
      container.announceExit({ code: container.record.state.exitCode, error: messageOf(error) });
    }
  }
}

/** Gives back what a run held on the host: network, mounts, volumes, bundle. Every step is repeatable. */
export async function releaseRun(
  context: ContainerContext,
  container: Container,
  phases?: Phases,
): Promise<void> {
  const { record } = container;
  for (const endpoint of record.endpoints) await context.networks.disconnect(endpoint);
  record.endpoints = [];
  if (record.guestLink !== undefined) context.networks.guestLinks.close(record.guestLink);
  record.guestLink = undefined;
  phases?.mark('disconnect');
  removeNetns(context.paths.netns(record.id));
  removeNetns(context.paths.secondNetns(record.id));
  if (record.idMapping !== undefined) removeNamespace(context.paths.userns(record.id));
  phases?.mark('netns');
  for (const settings of Object.values(record.networks)) forgetAddresses(settings);
  context.rootfs.unmount(record.id);
  releaseSharedMemory(context, record);
  for (const { type, name = '' } of record.mounts) {
    if (type === 'volume') await context.volumes.unmount(name, record.id);
  }
  phases?.mark('rootfs');
  context.trash.exec.discard(context.paths.bundle(record.id));
  phases?.mark('bundle');
}

/** A stopped container keeps its networks and has no addresses. */
function forgetAddresses(settings: ContainerNetwork): void {
  Object.assign(settings, {
    EndpointID: '',
    Gateway: '',
    IPAddress: '',
    IPPrefixLen: 0,
    IPv6Gateway: '',
    GlobalIPv6Address: '',
    GlobalIPv6PrefixLen: 0,
  });
}

type ContainerNetwork = Container['record']['networks'][string];
