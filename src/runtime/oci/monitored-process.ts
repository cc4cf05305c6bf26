import { writeFileSync } from 'node:fs';
import path from 'node:path';

import { conflict, internal, invalid } from '#/base/errors.ts';
import { spawnWithChannel } from '#/host/channel-process.ts';
import type {
  Attachment,
  Exit,
  LogTarget,
  SyslogDestination,
  TaskIo,
  TerminalSize,
} from '#/runtime/runtime.ts';

import { openAttachment } from './attachment.ts';
import { readExitRecord, writeExitRecord, type ExitRecord } from './exit-record.ts';
import { MonitorConnection, type MonitorEvents } from './monitor-connection.ts';
import { runtimeWords } from './runtime-words.ts';

const START_DEADLINE_MS = 120_000;

/** Docker's code for a process that was killed together with who watched it. */
const KILLED = 137;

export interface Launch {
  monitor: string;
  directory: string;
  io: TaskIo;
  /** The OCI runtime's command line. */
  runtime: readonly string[];
}

/** A process behind a hull-monitor: what a task and an exec have in common. */
export class MonitoredProcess {
  readonly directory: string;
  readonly exited: Promise<Exit>;
  readonly #io: Pick<TaskIo, 'stdin'>;
  readonly #exit = Promise.withResolvers<Exit>();
  readonly #hello = Promise.withResolvers<void>();
  readonly #start = Promise.withResolvers<void>();
  readonly #monitorLost: () => void;
  readonly #oomKilled: () => boolean;
  readonly #logDropped: ((records: number) => void) | undefined;
  #connection: MonitorConnection | undefined;
  #pid = 0;
  #started = false;
  #ended = false;
  #abandoned = false;
  #startError: string | undefined;

  /**
   * `monitorLost` is called when the monitor was killed: nobody holds the process's stdio any more, so whatever is left of it
   * must end. `oomKilled` is asked when the process has ended.
   */
  constructor(
    directory: string,
    io: Pick<TaskIo, 'stdin'>,
    hooks: { monitorLost: () => void; oomKilled: () => boolean; logDropped?: (records: number) => void },
  ) {
    this.directory = directory;
    this.#io = io;
    this.#monitorLost = hooks.monitorLost;
    this.#oomKilled = hooks.oomKilled;
    this.#logDropped = hooks.logDropped;
    this.exited = this.#exit.promise;
    this.#hello.promise.catch(() => {});
    this.#start.promise.catch(() => {});
  }

  get pid(): number {
    return this.#pid;
  }

  get running(): boolean {
    return this.#pid !== 0 && !this.#ended;
  }

  get started(): boolean {
    return this.#started;
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** Starts the monitor. Whether it could do its part is told by `attach` and `start`: it hears of the start as soon as it listens. */
  launch(launch: Launch): void {
    const { channel } = spawnWithChannel(launch.monitor, monitorArguments(launch), runtimeEnvironment());
    this.#connection = new MonitorConnection(channel, this.#events);
  }

  /** Finds the monitor of an earlier engine process, or what it left. */
  async reconnect(): Promise<void> {
    this.#connection = await MonitorConnection.connect(path.join(this.directory, 'sock'), this.#events);
    if (this.#connection === undefined) this.#onClosed();
    await this.#hello.promise.catch(() => {});
    // The engine went away in the middle of a start.
    if (this.#started) await this.#start.promise.catch(() => {});
  }

  async start(): Promise<void> {
    if (this.#started) throw conflict('The process was already started');
    this.#started = true;
    this.#connection?.start();
    const deadline = setTimeout(
      () => this.#start.reject(internal(`The OCI runtime did not end within ${START_DEADLINE_MS} ms`)),
      START_DEADLINE_MS,
    );
    try {
      await this.#start.promise;
    } catch (error) {
      // The monitor reports the failure first and then, with its record written, the end.
      if (this.#startError !== undefined) await this.exited;
      throw error;
    } finally {
      clearTimeout(deadline);
    }
  }

  async attach(want: { stdin: boolean; output: boolean }): Promise<Attachment> {
    const stdin = want.stdin && this.#io.stdin;
    await this.#hello.promise;
    return openAttachment(path.join(this.directory, 'sock'), { stdin, output: want.output });
  }

  async resize(size: TerminalSize): Promise<void> {
    this.#connection?.resize(size);
  }

  /** Lets go of the monitor: one that was never started ends by itself. */
  abandon(): void {
    this.#abandoned = true;
    this.#connection?.[Symbol.dispose]();
  }

  readonly #events: MonitorEvents = {
    hello: ({ state, pid }) => {
      this.#started ||= state !== 'created';
      if (pid !== 0) this.#onStarted(pid);
      this.#hello.resolve();
    },
    started: (pid) => this.#onStarted(pid),
    failed: (text) => {
      this.#startError = runtimeWords(text);
      this.#start.reject(invalid(this.#startError));
    },
    dropped: (records) => this.#logDropped?.(records),
    exit: (exit) => this.#onExit(exit),
    closed: () => this.#onClosed(),
  };

  #onStarted(pid: number): void {
    this.#pid = pid;
    this.#start.resolve();
  }

  #onExit(record: ExitRecord): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#started = true;
    const error = this.#startError ?? (record.error === undefined ? undefined : runtimeWords(record.error));
    if (error !== undefined) this.#start.reject(invalid(error));
    this.#exit.resolve({
      code: record.code,
      at: record.at,
      oomKilled: error === undefined && this.#oomKilled(),
      ...(error === undefined ? {} : { startError: error }),
    });
  }

  /** The monitor is gone: it ended after its record was written, was let go unstarted, or was killed. */
  #onClosed(): void {
    this.#hello.reject(internal('The monitor ended before it could be reached'));
    this.#start.reject(internal('The monitor ended while the process was being started'));
    if (this.#ended) return;
    const record = readExitRecord(this.directory);
    if (record !== undefined) {
      this.#onExit(record);
    } else if (this.#started && !this.#abandoned) {
      this.#monitorLost();
      const lost: ExitRecord = { code: KILLED, at: new Date() };
      writeExitRecord(this.directory, lost);
      this.#onExit(lost);
    } else if (!this.#abandoned) {
      // Never started, and now it cannot be.
      this.#onExit({ code: KILLED, at: new Date() });
    }
  }
}

/**
 * Nothing of the engine's own environment but the search path: NOTIFY_SOCKET and LISTEN_FDS would make the OCI runtime hand the
 * engine's service manager to the container.
 */
function runtimeEnvironment(): string[] {
  return [`PATH=${process.env['PATH'] ?? '/usr/sbin:/usr/bin:/sbin:/bin'}`];
}

function monitorArguments({ monitor, directory, io, runtime }: Launch): string[] {
  const args = ['--directory', directory];
  if (io.terminal) args.push('--terminal');
  if (io.stdin) args.push('--stdin');
  if (io.stdinOnce === true) args.push('--stdin-once');
  if (io.owner !== undefined) args.push('--owner', `${io.owner.uid}:${io.owner.gid}`);
  if (io.size !== undefined) args.push('--size', `${io.size.rows}x${io.size.columns}`);
  if (io.log !== undefined) args.push(...logArguments(io.log, monitor));
  return [...args, '--', ...runtime];
}

function logArguments({ file, syslog, journal, buffer }: LogTarget, monitor: string): string[] {
  const args: string[] = [];
  if (file !== undefined) {
    args.push('--log', file.path);
    if (file.maxSize !== undefined) args.push('--log-max-size', String(file.maxSize));
    if (file.maxFiles !== undefined) args.push('--log-max-files', String(file.maxFiles));
    if (file.compress === true) args.push('--log-compress');
    if (file.attributes !== undefined) args.push('--log-attributes', goJson(file.attributes));
  }
  if (syslog !== undefined) {
    args.push(...destinationArguments(syslog.destination, monitor), '--syslog-tag', syslog.tag);
    args.push('--syslog-facility', String(syslog.facility));
    if (syslog.format !== '') args.push('--syslog-format', syslog.format);
  }
  if (journal !== undefined) {
    args.push('--journal', `unixgram:${journal.socket}`);
    for (const [name, value] of Object.entries(journal.fields)) {
      if (name !== '') args.push('--journal-field', `${name}=${value}`);
    }
  }
  if (buffer !== undefined) args.push('--log-buffer', String(buffer));
  return args;
}

function destinationArguments(destination: SyslogDestination, monitor: string): string[] {
  if (destination.transport !== 'tls') {
    return ['--syslog', `${destination.transport}:${destination.address}`];
  }
  const { host, port, authorities = '', certificate = '', key = '', verify } = destination;
  const program = path.join(path.dirname(monitor), 'hull-tls');
  const relay = [program, host, port, authorities, certificate, key, verify ? '1' : '0'];
  return ['--syslog', 'tls:', ...relay.flatMap((argument) => ['--syslog-relay', argument])];
}

/** As Go's encoding/json writes a map: keys in order, and nothing that ends a script or a line in HTML or JavaScript. */
function goJson(map: Record<string, string>): string {
  const sorted = Object.entries(map).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify(Object.fromEntries(sorted)).replaceAll(
    /[<>&\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** Writes a file of the directory that its owner needs again after a restart. */
export function writeDirectoryFile(directory: string, name: string, content: object): void {
  writeFileSync(path.join(directory, name), JSON.stringify(content), { mode: 0o600 });
}
