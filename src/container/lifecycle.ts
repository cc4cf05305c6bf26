import { setTimeout as delay } from 'node:timers/promises';
import { conflict, EngineError, invalid, isKind, messageOf, notModified } from '#/base/errors.ts';
import type { Filters } from '#/base/filters.ts';
import { shortId } from '#/base/ids.ts';
import type { TerminalSize } from '#/runtime/runtime.ts';
import type { ContainerUpdateBody } from '#/wire/generated.ts';
import { PruneTurn } from '#/state/prune-turn.ts';
import type { CheckpointName, Checkpoints } from './checkpoints.ts';
import type { Container, ContainerExit } from './containers.ts';
import { type ContainerContext, publish } from './context.ts';
import { convertContainer } from './convert.ts';
import { createContainer, type CreateRequest } from './create/create.ts';
import type { Exits } from './supervise/exits.ts';
import type { Health } from './supervise/health.ts';
import { pruneContainers } from './prune.ts';
import { isRunning } from './record.ts';
import { removeContainer } from './remove.ts';
import { parseContainerName } from './names.ts';
import { parseSignal } from './signals.ts';
import { refuseUnstartable, startContainer } from './start/start.ts';
import { updateContainer } from './update.ts';

export interface StopOptions {
  signal?: string;
  /** Seconds until it is killed; -1 waits for ever. */
  timeout?: number;
  /** The engine itself wants it down for now: its restart policy starts it again when the engine comes back. */
  untilRestart?: boolean;
}

export type WaitCondition = 'not-running' | 'next-exit' | 'removed';

export interface WaitResult {
  StatusCode: number;
  Error?: { Message: string };
}

const SIGKILL = 9;
// How long a killed container may take to end before the client is told so.
const KILL_DEADLINE_MS = 10_000;
const THAW_EVERY_MS = 500;

/** What clients do to containers as wholes: make, run, stop, rename, remove, await. */
export class Lifecycle {
  readonly #context: ContainerContext;
  readonly #exits: Exits;
  readonly #health: Health;
  readonly #pruning: PruneTurn;
  readonly #checkpoints: Checkpoints;

  constructor(context: ContainerContext, exits: Exits, health: Health, checkpoints: Checkpoints) {
    this.#checkpoints = checkpoints;
    this.#context = context;
    this.#pruning = new PruneTurn(context.events, 'container');
    this.#exits = exits;
    this.#health = health;
  }

  async create(request: CreateRequest): Promise<{ Id: string; Warnings: string[] }> {
    const { container, warnings } = await createContainer(this.#context, request);
    return { Id: container.id, Warnings: warnings };
  }

  /** From its program's beginning, or from a checkpoint. `notModified` when it runs already. */
  async start(reference: string, from?: CheckpointName): Promise<void> {
    const container = this.#context.containers.get(reference);
    using _ = await this.#context.locks.acquire(container.id);
    refuseUnstartable(container);
    const checkpoint = from === undefined ? undefined : this.#checkpoints.open(container, from);
    this.#exits.cancelRestart(container);
    if (!isRunning(container.record)) container.record.restartCount = 0;
    try {
      await startContainer(this.#context, container, checkpoint);
    } catch (error) {
      if (
        container.record.hostConfig.AutoRemove &&
        !isRunning(container.record) &&
        !isKind(error, 'conflict')
      ) {
        await removeContainer(this.#context, container, { volumes: true });
      }
      throw error;
    }
    if (container.task !== undefined) this.#exits.watch(container, container.task);
  }

  async update(reference: string, body: ContainerUpdateBody): Promise<{ Warnings: string[] }> {
    return updateContainer(this.#context, this.#context.containers.get(reference), body);
  }

  /** Puts it behind the other wall. `conflict` unless it is stopped. */
  async convert(reference: string, isolation: string): Promise<void> {
    await convertContainer(this.#context, this.#context.containers.get(reference), isolation);
  }

  /** Asks it to stop, and kills it when its time is over. `notModified` when it does not run. */
  async stop(reference: string, options: StopOptions = {}): Promise<void> {
    const container = this.#context.containers.get(reference);
    const signal = parseSignal(options.signal || container.record.config.StopSignal || 'SIGTERM');
    if (container.record.state.status === 'restarting') {
      await this.#markStopped(container);
      return;
    }
    if (!isRunning(container.record)) throw notModified(`container ${reference} is already stopped`);
    await this.#stop(container, signal, options.timeout, { untilRestart: options.untilRestart });
    publish(this.#context.events, container, 'stop');
  }

  async restart(reference: string, options: StopOptions = {}): Promise<void> {
    const container = this.#context.containers.get(reference);
    if (isRunning(container.record)) {
      const signal = parseSignal(options.signal || container.record.config.StopSignal || 'SIGTERM');
      await this.#stop(container, signal, options.timeout, { keep: true });
    }
    using _ = await this.#context.locks.acquire(container.id);
    this.#exits.cancelRestart(container);
    container.record.restartCount = 0;
    await startContainer(this.#context, container);
    if (container.task !== undefined) this.#exits.watch(container, container.task);
    publish(this.#context.events, container, 'restart');
  }

  /** Any signal, SIGKILL without one. `conflict` when it does not run. */
  async kill(reference: string, signalName = 'SIGKILL'): Promise<void> {
    const container = this.#toKill(reference);
    const signal = parseSignal(signalName || 'SIGKILL');
    const { record, task } = container;
    if (!isRunning(record) || task === undefined) {
      throw conflict(`cannot kill container: ${reference}: container ${record.id} is not running`);
    }
    const stopSignal = parseSignal(record.config.StopSignal || 'SIGTERM');
    if (signal === SIGKILL || signal === stopSignal) record.state.stoppedByUser = true;
    if (signal === SIGKILL) {
      await this.#killNow(container);
    } else {
      await task.kill(signal);
    }
    publish(this.#context.events, container, 'kill', { signal: String(signal) });
  }

  #toKill(reference: string): Container {
    try {
      return this.#context.containers.get(reference);
    } catch (error) {
      if (!(error instanceof EngineError)) throw error;
      throw new EngineError(error.kind, `cannot kill container: ${reference}: ${error.message}`, {
        cause: error,
      });
    }
  }

  async pause(reference: string): Promise<void> {
    const container = this.#context.containers.get(reference);
    using _ = await this.#context.locks.acquire(container.id);
    const { record, task } = container;
    if (record.state.status === 'paused') throw conflict(`Container ${container.id} is already paused`);
    if (record.state.status === 'restarting') {
      throw conflict(`Container ${reference} is restarting, wait until the container is running`);
    }
    if (!isRunning(record) || task === undefined) throw conflict(`Container ${container.id} is not running`);
    await task.pause();
    record.state.status = 'paused';
    this.#health.unwatch(container);
    this.#context.containers.save(container);
    publish(this.#context.events, container, 'pause');
  }

  async unpause(reference: string): Promise<void> {
    const container = this.#context.containers.get(reference);
    using _ = await this.#context.locks.acquire(container.id);
    const { record, task } = container;
    if (record.state.status !== 'paused' || task === undefined) {
      throw conflict(`Container ${container.id} is not paused`);
    }
    await task.resume();
    record.state.status = 'running';
    this.#health.watch(container);
    this.#context.containers.save(container);
    publish(this.#context.events, container, 'unpause');
  }

  async rename(reference: string, newName: string): Promise<void> {
    const container = this.#context.containers.get(reference);
    if (newName === '') throw invalid('Neither old nor new names may be empty');
    const name = parseContainerName(newName);
    const oldName = container.record.name;
    if (name === oldName) {
      throw conflict('Renaming a container with the same name as its current name');
    }
    this.#context.containers.rename(container, name);
    this.#context.networks.rename(container.id, name);
    publish(this.#context.events, container, 'rename', { oldName: `/${oldName}` });
  }

  async resize(reference: string, size: TerminalSize): Promise<void> {
    const container = this.#context.containers.get(reference);
    if (!isRunning(container.record) || container.task === undefined) {
      throw conflict(`container ${container.id} is not running`);
    }
    await container.task.resize(size);
    publish(this.#context.events, container, 'resize', {
      height: String(size.rows),
      width: String(size.columns),
    });
  }

  async remove(
    reference: string,
    options: { force: boolean; volumes: boolean; link?: boolean },
  ): Promise<void> {
    const container = this.#context.containers.get(reference);
    const { record } = container;
    if (options.link) {
      this.#removeLink(reference);
      return;
    }
    if (record.state.status === 'removing') {
      throw conflict(`removal of container ${reference} is already in progress`);
    }
    if (isRunning(record) || record.state.status === 'restarting') {
      if (!options.force) {
        const status = record.state.status === 'paused' ? 'paused' : record.state.status;
        const advice =
          status === 'paused'
            ? 'unpause and then stop the container before removing or force remove'
            : 'stop the container before removing or force remove';
        throw conflict(`cannot remove container "/${record.name}": container is ${status}: ${advice}`);
      }
      await this.#forceDown(container);
    }
    using _ = await this.#context.locks.acquire(container.id);
    if (this.#context.containers.byId(container.id) === undefined) return;
    if (isRunning(record)) {
      throw conflict(
        `cannot remove container "/${record.name}": container is ${record.state.status}: it was started meanwhile`,
      );
    }
    await removeContainer(this.#context, container, options);
  }

  #removeLink(reference: string): void {
    if (!reference.replace(/^\//, '').includes('/')) {
      throw conflict('Conflict, cannot remove the default link name of the container');
    }
    this.#context.containers.unlink(reference);
  }

  /** Resolves as soon as the wait is registered: what happens from then on is not missed. */
  async wait(
    reference: string,
    condition: WaitCondition,
    signal?: AbortSignal,
  ): Promise<{ result: Promise<WaitResult> }> {
    const container = this.#context.containers.get(reference);
    const { record } = container;
    let exit: Promise<ContainerExit>;
    if (condition === 'removed') exit = container.nextRemoval(signal);
    else if (condition === 'next-exit' || isRunning(record) || record.state.status === 'restarting') {
      exit = container.nextExit(signal);
    } else {
      exit = Promise.resolve({ code: record.state.exitCode });
    }
    const result = exit.then(({ code, error }) => ({
      StatusCode: code,
      ...(error === undefined ? {} : { Error: { Message: error } }),
    }));
    // Whoever asked may be gone before it looks.
    result.catch(() => {});
    return { result };
  }

  /** Deletes containers that do not run. */
  prune(filters: Filters = {}): Promise<{ ContainersDeleted: string[]; SpaceReclaimed: number }> {
    const remove = (id: string): Promise<void> => this.remove(id, { force: false, volumes: false });
    return this.#pruning.run(() => pruneContainers(this.#context, filters, remove));
  }

  async #markStopped(container: Container): Promise<void> {
    using _ = await this.#context.locks.acquire(container.id);
    container.record.state.stoppedByUser = true;
    this.#exits.cancelRestart(container);
    this.#context.containers.save(container);
  }

  /** Without the lock: the exit itself needs it. */
  async #stop(
    container: Container,
    signal: number,
    timeout?: number,
    how: { keep?: boolean; untilRestart?: boolean | undefined } = {},
  ): Promise<void> {
    const { record, task } = container;
    if (task === undefined) return;
    const seconds = timeout ?? record.config.StopTimeout ?? this.#context.defaults.stopTimeout;
    const exited = container.nextExit();
    const hadAutoRemove = record.hostConfig.AutoRemove;
    record.state.stoppedByUser = true;
    if (how.keep) record.hostConfig.AutoRemove = false;
    this.#context.containers.save(container);
    try {
      await this.#signal(container, signal);
      const cancel = new AbortController();
      const inTime = await Promise.race([
        exited.then(() => true),
        seconds < 0
          ? new Promise<never>(() => {})
          : delay(seconds * 1000, false, { signal: cancel.signal, ref: false }),
      ]);
      cancel.abort();
      if (!inTime) await this.#killNow(container, exited);
    } finally {
      if (how.keep) record.hostConfig.AutoRemove = hadAutoRemove;
      if (how.untilRestart) {
        record.state.stoppedByUser = false;
        if (this.#context.containers.byId(container.id) !== undefined)
          this.#context.containers.save(container);
      }
    }
  }

  async #signal(container: Container, signal: number): Promise<void> {
    const { task } = container;
    if (task === undefined) return;
    try {
      await task.kill(signal);
      // A frozen process gets no signal but SIGKILL.
      if (container.record.state.status === 'paused') await task.resume();
    } catch (error) {
      // It ended by itself in between.
      if (!isKind(error, 'conflict')) throw error;
    }
    publish(this.#context.events, container, 'kill', { signal: String(signal) });
  }

  async #killNow(container: Container, exited: Promise<unknown> = container.nextExit()): Promise<void> {
    const { task } = container;
    if (task === undefined) return;
    try {
      await task.kill(SIGKILL);
      if (container.record.state.status === 'paused') await task.resume();
    } catch (error) {
      if (!isKind(error, 'conflict')) throw error;
    }
    const deadline = performance.now() + KILL_DEADLINE_MS;
    let ended = false;
    while (!ended && performance.now() < deadline) {
      const cancel = new AbortController();
      ended = await Promise.race([
        exited.then(() => true),
        delay(THAW_EVERY_MS, false, { signal: cancel.signal, ref: false }),
      ]);
      cancel.abort();
      // Somebody's pause came in between, and what is frozen does not die.
      if (!ended && this.#isPaused(container)) await task.resume();
    }
    if (!ended) {
      throw conflict(
        `tried to kill container ${shortId(container.id)}, but did not receive an exit event: a process of it may be stuck in the kernel`,
      );
    }
  }

  #isPaused({ record }: Container): boolean {
    return record.state.status === 'paused';
  }

  async #forceDown(container: Container): Promise<void> {
    container.record.state.stoppedByUser = true;
    if (container.record.state.status === 'restarting') {
      await this.#markStopped(container);
      return;
    }
    // Removal is what follows anyway, and only once.
    container.record.hostConfig.AutoRemove = false;
    try {
      publish(this.#context.events, container, 'kill', { signal: String(SIGKILL) });
      await this.#killNow(container);
    } catch (error) {
      throw conflict(
        `cannot remove container "/${container.record.name}": could not kill: ${messageOf(error)}`,
        {
          cause: error,
        },
      );
    }
  }
}
