import { chownSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { errnoCode, internal, notImplemented } from '#/base/errors.ts';
import type { Logger } from '#/base/log.ts';
import { unmount } from '#/host/mounts.ts';
import type { RuntimeResources } from '#/oci/runtime-spec.ts';
import type { Attachment, ExecOptions, ExecTask, Exit, Task, TaskStats, TerminalSize } from '../runtime.ts';
import { GuestTree } from './guest-tree.ts';
import { GuestConnection } from './guest-connection.ts';
import { METHOD } from './guest-frames.ts';
import { SANDBOX } from './installation.ts';
import { Records, TAG } from './records.ts';
import { runBody } from './run-body.ts';

/** In the task's directory: what `load` needs. */
export const VM_FILE = 'vm.json';

export interface VmFile {
  /** A small tmpfs, which the sandbox has as /run/vm. */
  shared: string;
  /** Whose hull-vm and QEMU are. */
  owner: { uid: number; gid: number };
  /** The main process's seccomp filter, base64, for its execs; nothing when it has none. */
  filter: string;
}

const SIGKILL = 9;
const START_POLL_MS = 5;
const EVENT_OOM = 2;
/** A guest that lives ends a process at once, and has its disk to write. */
const KILL_DEADLINE_MS = 10_000;
/** What hull-vm leaves is small; more is not read. */
const EXIT_LIMIT = 16_384;

interface VmExit {
  oomKilled?: boolean;
  reason?: string;
  startError?: string;
}

/** A microVM: hull-vm's container, and the guest behind it. */
export class MicrovmTask implements Task {
  readonly id: string;
  readonly exited: Promise<Exit>;
  readonly files = new GuestTree(() => this.#guest());
  readonly #outer: Task;
  readonly #directory: string;
  readonly #vm: VmFile;
  readonly #logger: Logger;
  #connection: Promise<GuestConnection> | undefined;

  constructor(outer: Task, directory: string, vm: VmFile, logger: Logger) {
    this.id = outer.id;
    this.#outer = outer;
    this.#directory = directory;
    this.#vm = vm;
    this.#logger = logger;
    this.exited = outer.exited.then((exit) => this.#explain(exit));
  }

  get pid(): number {
    return this.#outer.pid;
  }

  async start(): Promise<void> {
    await this.#outer.start();
    // hull-vm listens a moment after its container has started, and no more once its guest has ended.
    for (;;) {
      try {
        const guest = await this.#guest();
        await guest.call(METHOD.started).result;
        return;
      } catch (error) {
        const exit = await Promise.race([this.exited, sleep(START_POLL_MS)]);
        if (exit === undefined) continue;
        // It may have run and ended before anybody asked; hull-vm has left what is true.
        if (exit.startError !== undefined) throw internal(exit.startError, { cause: error });
        return;
      }
    }
  }

  attach(want: { stdin: boolean; output: boolean }): Promise<Attachment> {
    return this.#outer.attach(want);
  }

  /** The monitor tells hull-vm's terminal, and hull-vm the guest's. */
  resize(size: TerminalSize): Promise<void> {
    return this.#outer.resize(size);
  }

  async exec(options: ExecOptions): Promise<ExecTask> {
    const { process, io, user } = options;
    const name = `exec-${options.id.slice(0, 12)}`;
    const file = path.join(this.#vm.shared, name);
    const filter = this.#vm.filter === '' ? undefined : Buffer.from(this.#vm.filter, 'base64');
    const body = runBody(
      { ...process, terminal: io.terminal },
      {
        user: user?.user ?? '',
        groups: user?.groups ?? [],
        stdin: io.stdin,
        ...(io.size === undefined ? {} : { size: io.size }),
        ...(filter === undefined ? {} : { filter }),
      },
    );
    const { uid, gid } = this.#vm.owner;
    writeFileSync(file, body, { mode: 0o600 });
    chownSync(file, uid, gid);
    const exec = await this.#outer.exec({
      id: options.id,
      process: {
        args: [SANDBOX.hullVm, 'exec', `/run/vm/${name}`, '/run/vm/sock'],
        cwd: '/',
        user: { uid, gid },
        capabilities: {},
        noNewPrivileges: true,
        terminal: io.terminal,
      },
      io,
    });
    return exec;
  }

  async kill(signal: number, all = false): Promise<void> {
    const body = new Records().numbers(TAG.signal, signal).encode();
    try {
      const guest = await this.#guest();
      await withDeadline(guest.call(all ? METHOD.signalAll : METHOD.signal, body).result, KILL_DEADLINE_MS);
    } catch (error) {
      if (signal !== SIGKILL) throw error;
      // The guest does not answer, or is frozen: the whole of it ends.
      await this.#outer.kill(SIGKILL, true);
    }
  }

  async pause(): Promise<void> {
    await this.#outer.pause();
  }

  async resume(): Promise<void> {
    await this.#outer.resume();
  }

  async stats(): Promise<TaskStats> {
    return this.#outer.stats();
  }

  watchOomKills(listener: () => void): Disposable {
    const stopped = new AbortController();
    void this.#watch(listener, stopped.signal).catch(() => {});
    return { [Symbol.dispose]: () => stopped.abort() };
  }

  async #watch(listener: () => void, signal: AbortSignal): Promise<void> {
    const guest = await this.#guest();
    const call = guest.call(METHOD.events, Buffer.alloc(0), {
      event: (kind) => {
        if (kind === EVENT_OOM && !signal.aborted) listener();
      },
    });
    signal.addEventListener('abort', () => call.cancel());
    await call.result;
  }

  pids(): Promise<number[]> {
    return this.#outer.pids();
  }

  async update(resources: RuntimeResources): Promise<void> {
    await this.#outer.update(resources);
  }

  async writeFile(source: string): Promise<void> {
    const content = Buffer.concat([Buffer.from(`${path.basename(source)}\0`), readFileSync(source)]);
    const guest = await this.#guest();
    await guest.call(METHOD.writeFile, new Records().add(TAG.file, content).encode()).result;
  }

  async checkpoint(): Promise<void> {
    throw notImplemented('a microVM cannot be checkpointed');
  }

  async remove(): Promise<void> {
    (await this.#connection?.catch(() => undefined))?.[Symbol.dispose]();
    await this.#outer.remove();
    removeShared(this.#vm.shared);
    rmSync(path.join(this.#directory, VM_FILE), { force: true });
  }

  #guest(): Promise<GuestConnection> {
    this.#connection ??= GuestConnection.connect(path.join(this.#vm.shared, 'sock')).then(
      (connection) => {
        void connection.closed.then(() => (this.#connection = undefined));
        return connection;
      },
      (error: unknown) => {
        this.#connection = undefined;
        throw error;
      },
    );
    return this.#connection;
  }

  /** What hull-vm left of the end: it has seen more than an exit code. */
  #explain(exit: Exit): Exit {
    const { oomKilled = false, reason, startError } = this.#readExit();
    if (reason !== undefined) this.#logger.error('A microVM broke down', { container: this.id, reason });
    return {
      ...exit,
      oomKilled: exit.oomKilled || oomKilled,
      ...(startError === undefined ? {} : { startError }),
    };
  }

  #readExit(): VmExit {
    try {
      const text = readFileSync(path.join(this.#vm.shared, 'exit'));
      if (text.length > EXIT_LIMIT) return {};
      return asVmExit(JSON.parse(text.toString('utf8')));
    } catch (error) {
      if (error instanceof SyntaxError || errnoCode(error) === 'ENOENT') return {};
      throw error;
    }
  }
}

/** Repeatable. */
export function removeShared(directory: string): void {
  unmount(directory, { lazy: true });
  rmSync(directory, { recursive: true, force: true });
}

/** Who breaks out of QEMU can write that file: nothing in it is believed to be what it should be. */
function asVmExit(value: unknown): VmExit {
  if (typeof value !== 'object' || value === null) return {};
  const { oomKilled, reason, startError } = value as Record<string, unknown>;
  return {
    ...(oomKilled === true ? { oomKilled } : {}),
    ...(typeof reason === 'string' ? { reason } : {}),
    ...(typeof startError === 'string' ? { startError } : {}),
  };
}

async function withDeadline<T>(promise: Promise<T>, ms: number): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(internal(`The guest did not answer within ${ms} ms`)), ms);
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
