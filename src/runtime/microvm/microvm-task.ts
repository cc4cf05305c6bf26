import { existsSync, readFileSync, renameSync, rmSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { conflict, internal, notImplemented } from '#/base/errors.ts';
import type { Logger } from '#/base/log.ts';
import { unmount } from '#/host/mounts.ts';
import type { RuntimeResources } from '#/oci/runtime-spec.ts';
import type {
  Attachment,
  ExecOptions,
  ExecTask,
  Exit,
  GuestProcess,
  Listener,
  Task,
  TaskStats,
  TerminalSize,
} from '../runtime.ts';
import { GuestTree } from './guest-tree.ts';
import { GuestConnection } from './guest-connection.ts';
import { parseListeners } from './guest-listeners.ts';
import { parseGuestProcesses } from './guest-processes.ts';
import { guestStats } from './guest-stats.ts';
import { sandboxMemory } from './memory-size.ts';
import { METHOD } from './guest-frames.ts';
import { MicrovmExec } from './microvm-exec.ts';
import { guestLimits } from './guest-limits.ts';
import { SANDBOX } from './installation.ts';
import type { Machine } from './qemu-command.ts';
import { Records, TAG } from './records.ts';
import { runBody } from './run-body.ts';
import { saveVm } from './vm-checkpoint.ts';
import { leaveFile, printable, takeFile, withSocket } from './shared-files.ts';
import { withDeadline } from './with-deadline.ts';

/** In the task's directory: what `load` needs. */
export const VM_FILE = 'vm.json';

export interface VmFile extends Machine {
  /** The directory of what the VM runs from. */
  installation: string;
  /** A small tmpfs, which the sandbox has as /run/vm. */
  shared: string;
  /** Whose hull-vm and QEMU are. */
  owner: { uid: number; gid: number };
  /** Whether virtiofsd shows it files of the host. */
  shares: boolean;
  /** The writable disk, and where it was made when it is a checkpoint's: it takes the place of the other when the VM runs. */
  top: string;
  restored?: string;
  /** The main process's seccomp filter, base64, for its execs; nothing when it has none. */
  filter: string;
}

const SIGKILL = 9;
const START_POLL_MS = 5;
const EVENT_OOM = 2;
const EVENT_LISTENING = 3;
/** Before the guest is asked again, where hull-vm no longer listened. */
const LISTENERS_RETRY_MS = 1000;
/** A guest that lives ends a process at once, and has its disk to write. */
const KILL_DEADLINE_MS = 10_000;
const LIMIT_DEADLINE_MS = 15_000;
const TEXT_DEADLINE_MS = 5000;
/** A guest's processes and counters are not to fill the engine's memory. */
const TEXT_LIMIT = 4 << 20;
/** Of the reason why a VM broke down, for the container's state; the log has it whole. */
const WORDS_LIMIT = 500;
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
        this.keepRestoredDisk();
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
    leaveFile(file, body, { uid, gid });
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
    return new MicrovmExec(exec, file);
  }

  async kill(signal: number, all = false): Promise<void> {
    const body = new Records().numbers(TAG.signal, signal).encode();
    try {
      const guest = await this.#guest();
      await withDeadline(guest.call(all ? METHOD.signalAll : METHOD.signal, body).result, KILL_DEADLINE_MS);
      if (signal === SIGKILL) this.#endAfterAll();
    } catch (error) {
      if (signal !== SIGKILL) throw error;
      // The guest does not answer, or is frozen: the whole of it ends.
      await this.#outer.kill(SIGKILL, true);
    }
  }

  /** Ends it and waits for that: a guest that does not write its disks and go is ended with all that it has. */
  async end(): Promise<void> {
    await this.kill(SIGKILL);
    const late = setTimeout(() => void this.#outer.kill(SIGKILL, true).catch(() => {}), KILL_DEADLINE_MS);
    await this.exited;
    clearTimeout(late);
  }

  /** A guest that says it has killed its main process, and goes on, is not believed for long. */
  #endAfterAll(): void {
    const timer = setTimeout(() => void this.#outer.kill(SIGKILL, true).catch(() => {}), KILL_DEADLINE_MS);
    timer.unref();
    void this.exited.then(() => clearTimeout(timer));
  }

  /** The processes alone: the guest's agent goes on, for whoever looks into a paused container. */
  async pause(): Promise<void> {
    await this.#limit([['cgroup.freeze', '1']]);
  }

  async resume(): Promise<void> {
    await this.#limit([['cgroup.freeze', '0']]);
  }

  async stats(): Promise<TaskStats> {
    const [host, guest] = await Promise.all([this.#outer.stats(), this.#text(METHOD.stats)]);
    return guestStats(host, guest);
  }

  async processes(): Promise<GuestProcess[]> {
    const guest = await this.#guest();
    const [text, uptime] = await Promise.all([
      this.#text(METHOD.processes),
      withDeadline(guest.call(METHOD.ping).result, TEXT_DEADLINE_MS),
    ]);
    return parseGuestProcesses(text, Number(uptime.readBigUInt64BE(0)) / 1e9);
  }

  watchOomKills(listener: () => void): Disposable {
    const stopped = new AbortController();
    const onEvent = (kind: number): void => {
      if (kind === EVENT_OOM) listener();
    };
    void this.#watch(Buffer.alloc(0), onEvent, stopped.signal).catch(() => {});
    return { [Symbol.dispose]: () => stopped.abort() };
  }

  watchListeners(listener: (listeners: Listener[]) => void): Disposable {
    const stopped = new AbortController();
    const onEvent = (kind: number, payload: Buffer): void => {
      if (kind === EVENT_LISTENING) listener(parseListeners(payload.toString('latin1')));
    };
    void this.#watchAlways(new Records().add(TAG.listeners).encode(), onEvent, stopped.signal);
    void this.exited.then(() => stopped.abort());
    return { [Symbol.dispose]: () => stopped.abort() };
  }

  async shareNetwork(standIns: readonly (readonly [string, string])[]): Promise<void> {
    const body = new Records();
    for (const standIn of standIns) body.texts(TAG.standIn, standIn);
    const guest = await this.#guest();
    await withDeadline(guest.call(METHOD.share, body.encode()).result, TEXT_DEADLINE_MS);
  }

  async #watchAlways(
    body: Buffer,
    onEvent: (kind: number, payload: Buffer) => void,
    signal: AbortSignal,
  ): Promise<void> {
    while (!signal.aborted) {
      await this.#watch(body, onEvent, signal).catch(() => {});
      await sleep(LISTENERS_RETRY_MS, undefined, { signal, ref: false }).catch(() => {});
    }
  }

  async #watch(
    body: Buffer,
    onEvent: (kind: number, payload: Buffer) => void,
    signal: AbortSignal,
  ): Promise<void> {
    const guest = await this.#guest();
    const call = guest.call(METHOD.events, body, {
      event: (kind, payload) => {
        if (!signal.aborted) onEvent(kind, payload);
      },
    });
    signal.addEventListener('abort', () => call.cancel());
    if (signal.aborted) call.cancel();
    await call.result;
  }

  pids(): Promise<number[]> {
    return this.#outer.pids();
  }

  /** What the container may use is the guest's affair, up to the memory that the guest has; what the VM takes, the host's. */
  async update(resources: RuntimeResources): Promise<void> {
    const { pids: _, memory, ...host } = resources;
    const limit = memory?.limit;
    if (limit !== undefined && limit > this.#vm.memory) {
      throw conflict(
        `The microVM of container ${this.id} has ${this.#vm.memory} bytes of memory since its start: a limit of ${limit} needs another start`,
      );
    }
    const limits = guestLimits(resources);
    if (limits.length > 0) await this.#limit(limits);
    const whole = sandboxMemory(limit);
    const outer = whole === undefined ? host : { ...host, memory: { limit: whole, swap: whole } };
    if (Object.keys(outer).length > 0) await this.#outer.update(outer);
  }

  async writeFile(source: string): Promise<void> {
    const content = Buffer.concat([Buffer.from(`${path.basename(source)}\0`), readFileSync(source)]);
    const guest = await this.#guest();
    await guest.call(METHOD.writeFile, new Records().add(TAG.file, content).encode()).result;
  }

  async checkpoint(directory: string, { leaveRunning }: { leaveRunning: boolean }): Promise<void> {
    const { installation, accelerator, cpus, memory, top, shares } = this.#vm;
    if (shares) {
      throw notImplemented(
        'a microVM with bind mounts or volumes cannot be checkpointed: what it has open of the host’s files cannot be saved',
      );
    }
    const saved = { installation: path.basename(installation), machine: { accelerator, cpus, memory } };
    await saveVm(await this.#guest(), { directory, saved, top, leaveRunning });
    if (!leaveRunning) await this.exited;
  }

  /** The VM runs, so its disk is the container's from now on. Its files are open: it may get another name. */
  keepRestoredDisk(): void {
    const { restored, top } = this.#vm;
    if (restored !== undefined && existsSync(restored)) renameSync(restored, top);
  }

  async remove(): Promise<void> {
    (await this.#connection?.catch(() => undefined))?.[Symbol.dispose]();
    await this.#outer.remove();
    removeShared(this.#vm.shared);
    if (this.#vm.restored !== undefined) rmSync(this.#vm.restored, { force: true });
    rmSync(path.join(this.#directory, VM_FILE), { force: true });
  }

  async #limit(limits: readonly [string, string][]): Promise<void> {
    const body = new Records();
    for (const limit of limits) body.texts(TAG.cgroup, limit);
    const guest = await this.#guest();
    await withDeadline(guest.call(METHOD.limit, body.encode()).result, LIMIT_DEADLINE_MS);
  }

  /** The text that a method answers, of which what no frame holds comes ahead. */
  async #text(method: number): Promise<string> {
    const parts: Buffer[] = [];
    let length = 0;
    const guest = await this.#guest();
    const call = guest.call(method, Buffer.alloc(0), {
      data: (_, piece, taken) => {
        length += piece.length;
        if (length <= TEXT_LIMIT) parts.push(piece);
        taken();
      },
    });
    const last = await withDeadline(call.result, TEXT_DEADLINE_MS);
    return Buffer.concat([...parts, last]).toString('utf8');
  }

  #guest(): Promise<GuestConnection> {
    const { shared, owner } = this.#vm;
    const connecting = (): Promise<GuestConnection> =>
      withSocket(path.join(shared, 'sock'), owner, (socket) => GuestConnection.connect(socket));
    this.#connection ??= connecting().then(
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
      ...(reason === undefined ? {} : { breakdown: inShort(reason) }),
    };
  }

  #readExit(): VmExit {
    const text = takeFile(path.join(this.#vm.shared, 'exit'), EXIT_LIMIT);
    if (text === undefined) return {};
    try {
      return asVmExit(JSON.parse(text.toString('utf8')));
    } catch (error) {
      if (error instanceof SyntaxError) return {};
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
    ...(typeof reason === 'string' ? { reason: printable(reason) } : {}),
    ...(typeof startError === 'string' ? { startError: printable(startError) } : {}),
  };
}

/** The first of what hull-vm has to say, or what the guest's kernel said at its end, which is why QEMU ended. */
export function inShort(reason: string): string {
  const panic = /Kernel panic - not syncing: (.*)/.exec(reason)?.[1];
  const words = panic === undefined ? reason.split('\n', 1)[0] : `the guest's kernel panicked: ${panic}`;
  return (words ?? '').slice(0, WORDS_LIMIT);
}
