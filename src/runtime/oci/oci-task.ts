import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';

import { conflict, errnoCode, internal, messageOf, notImplemented } from '#/base/errors.ts';
import type { Logger } from '#/base/log.ts';
import { readCgroupStats } from '#/host/cgroup-stats.ts';
import { watchOomKills } from '#/host/cgroup-oom.ts';
import type { Cgroup } from '#/host/cgroups.ts';
import { killPid, run } from '#/host/process.ts';
import type { Trash } from '#/host/trash.ts';
import type { RuntimeResources } from '#/oci/runtime-spec.ts';
import type {
  Attachment,
  ExecOptions,
  ExecTask,
  Exit,
  Task,
  TaskIo,
  TaskStats,
  TerminalSize,
} from '#/runtime/runtime.ts';

import { MonitoredProcess, writeDirectoryFile } from './monitored-process.ts';
import { criuWords } from './criu-words.ts';
import type { OciCommand } from './oci-command.ts';
import { runtimeWords } from './runtime-words.ts';

const SIGKILL = 9;
const RUNTIME_DEADLINE_MS = 30_000;
/** A checkpoint is as long as the memory of its processes. */
const CHECKPOINT_DEADLINE_MS = 600_000;

/** Kept in the task's directory, so that `load` can find the rest. */
export const TASK_FILE = 'task';

/** Where CRIU works, in the task's directory. */
export const CRIU_DIRECTORY = 'criu';

export interface TaskFile {
  /** The cgroup's path. */
  cgroup: string;
  /** Whether systemd made it. */
  systemd: boolean;
  stdin: boolean;
}

/** How much of an exec's id its directory is named after: the socket's path must stay under 108 bytes. */
const EXEC_NAME_LENGTH = 12;

export interface OciTaskOptions {
  id: string;
  directory: string;
  io: Pick<TaskIo, 'stdin'>;
  cgroup: Cgroup;
  /** Whether systemd made the cgroup. */
  systemd: boolean;
  command: OciCommand;
  monitor: string;
  logger: Logger;
  trash: Trash;
  /** Called once the runtime's state directory is whole. */
  onStarted?: (stateDirectory: string) => void;
}

/** A container of crun or runc behind a hull-monitor. */
export class OciTask implements Task {
  readonly id: string;
  readonly process: MonitoredProcess;
  readonly #options: OciTaskOptions;
  readonly #execs = new Map<string, MonitoredProcess>();

  constructor(options: OciTaskOptions) {
    this.id = options.id;
    this.#options = options;
    const { id, cgroup, logger } = options;
    this.process = new MonitoredProcess(options.directory, options.io, {
      monitorLost() {
        logger.error('A container lost its monitor and was killed', { container: id });
        cgroup.kill(SIGKILL);
      },
      oomKilled: () => cgroup.oomKills() > 0,
      logDropped(records) {
        logger.warn("Records of a container's log were dropped: the log's server is away or slow", {
          container: id,
          records,
        });
      },
    });
  }

  get pid(): number {
    return this.process.pid;
  }

  get exited(): Promise<Exit> {
    return this.process.exited;
  }

  async start(): Promise<void> {
    try {
      await this.process.start();
    } catch (error) {
      const words = this.#criuWords('restore.log');
      throw words === undefined ? error : internal(`criu: ${words}`, { cause: error });
    }
    this.#options.onStarted?.(this.#options.command.stateDirectory(this.id));
  }

  attach(want: { stdin: boolean; output: boolean }): Promise<Attachment> {
    return this.process.attach(want);
  }

  resize(size: TerminalSize): Promise<void> {
    return this.process.resize(size);
  }

  async exec(options: ExecOptions): Promise<ExecTask> {
    this.#mustRun();
    const directory = path.join(this.#options.directory, options.id.slice(0, EXEC_NAME_LENGTH));
    mkdirSync(directory, { mode: 0o700 });
    const file = path.join(directory, 'process');
    writeFileSync(file, JSON.stringify({ ...options.process, terminal: options.io.terminal }), {
      mode: 0o600,
    });
    const { cgroup, command, monitor } = this.#options;
    const process = new MonitoredProcess(directory, options.io, {
      monitorLost() {
        if (process.pid !== 0) killPid(process.pid, SIGKILL);
      },
      oomKilled: () => cgroup.oomKills() > 0,
    });
    this.#execs.set(options.id, process);
    try {
      process.launch({
        monitor,
        directory,
        io: options.io,
        runtime: command.exec(this.id, directory, file, options.io.terminal),
      });
    } catch (error) {
      this.#removeExec(options.id, process);
      throw error;
    }
    return new OciExec(options.id, process, () => this.#removeExec(options.id, process));
  }

  async kill(signal: number, all = false): Promise<void> {
    this.#mustRun();
    if (all) this.#options.cgroup.kill(signal);
    else if (!killPid(this.pid, signal)) throw this.#notRunning();
    // A frozen process of cgroup v1 takes no signal.
    if (signal === SIGKILL && this.#options.cgroup.isFrozen()) this.#options.cgroup.thaw();
  }

  async pause(): Promise<void> {
    this.#mustRun();
    await this.#options.cgroup.freeze();
  }

  async resume(): Promise<void> {
    this.#mustRun();
    this.#options.cgroup.thaw();
  }

  async stats(): Promise<TaskStats> {
    return readCgroupStats(this.#options.cgroup);
  }

  watchOomKills(listener: () => void): Disposable {
    return watchOomKills(this.#options.cgroup, listener);
  }

  async pids(): Promise<number[]> {
    return this.#options.cgroup.pids();
  }

  async update(resources: RuntimeResources): Promise<void> {
    this.#mustRun();
    const { pids, ...others } = resources;
    // crun writes the -1 that stands for no limit as it is, which the kernel does not take.
    const unlimited = pids !== undefined && pids.limit < 0;
    if (unlimited) this.#options.cgroup.write('pids', 'pids.max', 'max');
    const rest = unlimited ? others : resources;
    if (Object.keys(rest).length === 0) return;
    const file = path.join(this.#options.directory, 'resources');
    writeFileSync(file, JSON.stringify(rest), { mode: 0o600 });
    try {
      await this.#run(this.#options.command.update(this.id, file), 'update');
    } finally {
      rmSync(file, { force: true });
    }
  }

  async checkpoint(directory: string, { leaveRunning }: { leaveRunning: boolean }): Promise<void> {
    this.#mustRun();
    const work = path.join(this.#options.directory, CRIU_DIRECTORY);
    mkdirSync(work, { recursive: true, mode: 0o700 });
    const [binary = '', ...args] = this.#options.command.checkpoint(this.id, {
      images: directory,
      work,
      leaveRunning,
    });
    const { code, stderr } = await run(binary, args, { timeoutMs: CHECKPOINT_DEADLINE_MS });
    if (code !== 0) throw this.#notCheckpointed(stderr.toString('utf8'));
    if (!leaveRunning) await this.exited;
  }

  #notCheckpointed(said: string): Error {
    // crun has the command only when it was built with CRIU.
    if (said.includes('unknown command checkpoint')) {
      return notImplemented(
        'the OCI runtime was built without CRIU: create the container with a runtime that has it (--runtime runc)',
      );
    }
    const words = this.#criuWords('dump.log');
    return internal(words === undefined ? runtimeWords(said) : `criu: ${words}`);
  }

  #criuWords(log: string): string | undefined {
    try {
      return criuWords(readFileSync(path.join(this.#options.directory, CRIU_DIRECTORY, log), 'utf8'));
    } catch (error) {
      if (errnoCode(error) !== 'ENOENT') throw error;
      return undefined;
    }
  }

  async remove(): Promise<void> {
    if (this.process.started && !this.process.ended) {
      throw conflict(`The task "${this.id}" is still running`);
    }
    this.process.abandon();
    if (this.process.started) await this.#removeRuntimeState();
    for (const [id, exec] of this.#execs) this.#removeExec(id, exec);
    this.#options.trash.discard(this.#options.directory);
  }

  /** By our own hand: a process of the runtime's for it would cost more than the whole removal. */
  async #removeRuntimeState(): Promise<void> {
    const { cgroup, command, logger, systemd, trash } = this.#options;
    try {
      // Until systemd has forgotten the scope, none of the same name can be made: its end is worth a process, which waits for it.
      if (systemd) await this.#run(command.delete(this.id), 'delete');
      await cgroup.remove();
      trash.discard(command.stateDirectory(this.id));
    } catch (error) {
      logger.warn('Cannot remove a container by hand, so its runtime does it', {
        container: this.id,
        error: messageOf(error),
      });
      await this.#run(command.delete(this.id), 'delete');
      await cgroup.remove();
    }
  }

  #removeExec(id: string, exec: MonitoredProcess): void {
    exec.abandon();
    this.#execs.delete(id);
    this.#options.trash.discard(exec.directory);
  }

  async #run(commandLine: readonly string[], what: string): Promise<void> {
    const [binary = '', ...args] = commandLine;
    const { code, stderr } = await run(binary, args, { timeoutMs: RUNTIME_DEADLINE_MS });
    if (code !== 0) throw internal(`Cannot ${what} "${this.id}": ${stderr.toString('utf8').trim()}`);
  }

  #mustRun(): void {
    if (!this.process.running) throw this.#notRunning();
  }

  #notRunning(): Error {
    return conflict(`Container ${this.id} is not running`);
  }

  /** Writes what `load` needs. */
  writeTaskFile(): void {
    const { directory, io, cgroup, systemd } = this.#options;
    const file: TaskFile = { cgroup: cgroup.path, systemd, stdin: io.stdin };
    writeDirectoryFile(directory, TASK_FILE, file);
  }
}

class OciExec implements ExecTask {
  readonly id: string;
  readonly #process: MonitoredProcess;
  readonly #remove: () => void;

  constructor(id: string, process: MonitoredProcess, remove: () => void) {
    this.id = id;
    this.#process = process;
    this.#remove = remove;
  }

  get pid(): number {
    return this.#process.pid;
  }

  get exited(): Promise<Exit> {
    return this.#process.exited;
  }

  start(): Promise<void> {
    return this.#process.start();
  }

  attach(want: { stdin: boolean; output: boolean }): Promise<Attachment> {
    return this.#process.attach(want);
  }

  resize(size: TerminalSize): Promise<void> {
    return this.#process.resize(size);
  }

  async remove(): Promise<void> {
    if (this.#process.running) throw conflict(`The exec "${this.id}" is still running`);
    this.#remove();
  }
}
