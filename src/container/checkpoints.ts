import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import {
  conflict,
  EngineError,
  errnoCode,
  internal,
  invalid,
  messageOf,
  notImplemented,
} from '#/base/errors.ts';
import { UNFINISHED_CHECKPOINT } from '#/runtime/runtime.ts';
import type { CheckpointCreateRequest, CheckpointSummary } from '#/wire/undescribed.ts';
import type { Container } from './containers.ts';
import { type ContainerContext, publish } from './context.ts';
import type { ContainerRecord } from './record.ts';

export interface CheckpointName {
  id: string;
  /** Where it is kept, when not with the container. */
  directory: string | undefined;
}

/** A checkpoint to start from. */
export interface Checkpoint {
  directory: string;
  /** IPv4 addresses by network: programs know those that they listen on. */
  addresses: Record<string, string>;
}

/** What of a checkpoint is the engine's; the rest of the directory is the runtime's. */
const ADDRESSES = 'hull-addresses.json';

// moby's daemon/names, RestrictedNamePattern
const NAME_CHARACTERS = '[a-zA-Z0-9][a-zA-Z0-9_.-]';
const NAME = new RegExp(`^${NAME_CHARACTERS}+$`);

/**
 * Checkpoints of running containers, to start from later. They lie in the container's own directory, and go with it, or where the
 * client says. Statuses and words are moby's (daemon/checkpoint.go).
 */
export class Checkpoints {
  readonly #context: ContainerContext;
  /** Directories of those that are being made. */
  readonly #making = new Set<string>();

  constructor(context: ContainerContext) {
    this.#context = context;
  }

  async create(reference: string, request: CheckpointCreateRequest): Promise<void> {
    const { containers, locks, events } = this.#context;
    const container = containers.get(reference);
    const { CheckpointID: id = '', CheckpointDir: directory, Exit: exit = false } = request;
    const { promise: ended, cancel } = nextExit(container);
    try {
      using _ = await locks.acquire(container.id);
      refuseUncheckpointable(container, reference);
      checkName(id);
      const target = this.#make(container, reference, { id, directory: directory || undefined });
      this.#making.add(target);
      try {
        await this.#write(container, target, exit);
      } catch (error) {
        rmSync(target, { recursive: true, force: true });
        const kind = error instanceof EngineError ? error.kind : 'internal';
        throw new EngineError(kind, `Cannot checkpoint container ${reference}: ${messageOf(error)}`, {
          cause: error,
        });
      } finally {
        this.#making.delete(target);
      }
      publish(events, container, 'checkpoint');
    } catch (error) {
      cancel();
      throw error;
    }
    if (exit) await ended;
    else cancel();
  }

  list(reference: string, directory?: string): CheckpointSummary[] {
    const container = this.#context.containers.get(reference);
    const root = directory ?? this.#root(container);
    return directoriesIn(root)
      .filter((name) => !isUnfinished(path.join(root, name)))
      .map((name) => ({ Name: name }));
  }

  /** Removes what an engine that was killed did not finish. */
  clear(): void {
    for (const container of this.#context.containers.all()) {
      const root = this.#root(container);
      for (const name of directoriesIn(root)) {
        const target = path.join(root, name);
        if (isUnfinished(target)) rmSync(target, { recursive: true, force: true });
      }
    }
  }

  remove(reference: string, checkpoint: CheckpointName): void {
    const container = this.#context.containers.get(reference);
    checkName(checkpoint.id);
    rmSync(this.#find(container, reference, checkpoint), { recursive: true });
  }

  /** The checkpoint to start a container from. */
  open(container: Container, checkpoint: CheckpointName): Checkpoint {
    checkName(checkpoint.id);
    const directory = this.#find(container, `/${container.record.name}`, checkpoint);
    return { directory, addresses: readAddresses(directory) };
  }

  async #write(container: Container, target: string, exit: boolean): Promise<void> {
    const { record, task } = container;
    if (task === undefined) throw notRunning(container);
    writeFileSync(path.join(target, ADDRESSES), JSON.stringify(addressesOf(record)), { mode: 0o600 });
    const stoppedBefore = record.state.stoppedByUser;
    // No restart policy is to bring it back.
    record.state.stoppedByUser ||= exit;
    try {
      await task.checkpoint(target, { leaveRunning: !exit });
    } catch (error) {
      record.state.stoppedByUser = stoppedBefore;
      throw error;
    }
    this.#context.containers.save(container);
  }

  #make(container: Container, reference: string, checkpoint: CheckpointName): string {
    const target = path.join(checkpoint.directory ?? this.#root(container), checkpoint.id);
    if (isUnfinished(target) && !this.#making.has(target)) rmSync(target, { recursive: true });
    const found = statSync(target, { throwIfNoEntry: false });
    if (found !== undefined) {
      const problem = found.isDirectory()
        ? `checkpoint with name ${checkpoint.id} already exists for container ${reference}`
        : `${target} exists and is not a directory`;
      throw internal(`cannot checkpoint container ${reference}: ${problem}`);
    }
    mkdirSync(target, { recursive: true, mode: 0o700 });
    return target;
  }

  #find(container: Container, reference: string, checkpoint: CheckpointName): string {
    const target = path.join(checkpoint.directory ?? this.#root(container), checkpoint.id);
    const found = statSync(target, { throwIfNoEntry: false });
    if (found === undefined || isUnfinished(target)) {
      throw internal(`checkpoint ${checkpoint.id} does not exist for container ${reference}`);
    }
    if (!found.isDirectory()) throw internal(`${target} exists and is not a directory`);
    return target;
  }

  #root({ id }: Container): string {
    return path.join(this.#context.paths.data(id), 'checkpoints');
  }
}

function directoriesIn(directory: string): string[] {
  try {
    const entries = readdirSync(directory, { withFileTypes: true });
    return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
  } catch (error) {
    if (errnoCode(error) === 'ENOENT') return [];
    throw error;
  }
}

function isUnfinished(directory: string): boolean {
  return existsSync(path.join(directory, UNFINISHED_CHECKPOINT));
}

function refuseUncheckpointable(container: Container, reference: string): void {
  const { state, guestLink } = container.record;
  const { status } = state;
  if (guestLink !== undefined)
    throw notImplemented('a microVM that shares a network with others cannot be checkpointed');
  if (status === 'paused') {
    throw conflict(`Container ${reference} is paused, unpause the container before checkpoint`);
  }
  if (status !== 'running') throw notRunning(container);
}

function notRunning({ id }: Container): EngineError {
  return conflict(`container ${id} is not running`);
}

function checkName(id: string): void {
  if (NAME.test(id)) return;
  throw invalid(`Invalid checkpoint ID (${id}), only ${NAME_CHARACTERS} are allowed`);
}

/** Registered before the process can end; `cancel` when it will not be waited for. */
function nextExit(container: Container): { promise: Promise<unknown>; cancel: () => void } {
  const controller = new AbortController();
  const promise = container.nextExit(controller.signal);
  promise.catch(() => {});
  return { promise, cancel: () => controller.abort() };
}

function addressesOf({ networks }: ContainerRecord): Checkpoint['addresses'] {
  return Object.fromEntries(Object.entries(networks).map(([name, { IPAddress = '' }]) => [name, IPAddress]));
}

function readAddresses(directory: string): Checkpoint['addresses'] {
  try {
    return JSON.parse(readFileSync(path.join(directory, ADDRESSES), 'utf8')) as Checkpoint['addresses'];
  } catch (error) {
    // A checkpoint that another engine made.
    if (errnoCode(error) === 'ENOENT') return {};
    throw error;
  }
}
