import { spawn, type ChildProcess } from 'node:child_process';
import { Readable, type Writable } from 'node:stream';

import { errnoCode, internal } from '#/base/errors.ts';

export interface RunOptions {
  input?: Buffer | string;
  /** The process is killed (SIGKILL) after this long; `run` then rejects. */
  timeoutMs: number;
  /** The whole environment of the process; this process's own without it. */
  env?: NodeJS.ProcessEnv;
  cwd?: string;
  /** Most bytes of output kept of each stream, 64 MiB without it; more is an error. */
  maxOutput?: number;
  signal?: AbortSignal;
}

export interface RunResult {
  /** Exit code; 128 + n when signal n ended it. */
  code: number;
  stdout: Buffer;
  stderr: Buffer;
}

const SIGNALS: Partial<Record<NodeJS.Signals, number>> = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGQUIT: 3,
  SIGABRT: 6,
  SIGKILL: 9,
  SIGSEGV: 11,
  SIGPIPE: 13,
  SIGTERM: 15,
};

/**
 * Runs a program to its end and returns its exit code and output; a code other than 0 is a result, not an error.
 * Rejects when the program cannot be started, runs past its deadline, is aborted, or writes more than `maxOutput`.
 */
export async function run(command: string, args: readonly string[], options: RunOptions): Promise<RunResult> {
  options.signal?.throwIfAborted();
  const child = spawn(command, args, {
    stdio: [options.input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
    ...(options.env === undefined ? {} : { env: options.env }),
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  });
  using guard = new Guard(command, child, options.timeoutMs, options.signal);
  const limit = options.maxOutput ?? 64 << 20;
  const stdout = collect(child.stdout, limit, guard);
  const stderr = collect(child.stderr, limit, guard);
  // EPIPE only says that the program did not want all of its input: its exit code tells whether that matters.
  child.stdin?.on('error', () => {});
  child.stdin?.end(options.input);
  const code = await guard.closed;
  return { code, stdout: Buffer.concat(stdout), stderr: Buffer.concat(stderr) };
}

export interface StreamingOptions {
  /** Deadline for the whole run; none without it (the caller then owns one through `signal`). */
  timeoutMs?: number;
  env?: NodeJS.ProcessEnv;
  cwd?: string;
  /** Whether the caller feeds the program through `stdin`. */
  stdin?: boolean;
  /** Called with the program's stderr as it comes. */
  onStderr?: (chunk: Buffer) => void;
  signal?: AbortSignal;
}

export interface StreamingProcess {
  readonly pid: number;
  /**
   * The program's output. It ends only after the program ended with code 0; otherwise it fails with an error that holds the end
   * of the program's stderr. Destroying it kills the program.
   */
  readonly stdout: Readable;
  readonly stdin: Writable | undefined;
}

const STDERR_TAIL = 4096;

/** Starts a program whose output is read as a stream. Rejects when it cannot be started. */
export async function spawnStreaming(
  command: string,
  args: readonly string[],
  options: StreamingOptions = {},
): Promise<StreamingProcess> {
  options.signal?.throwIfAborted();
  const child = spawn(command, args, {
    stdio: [options.stdin === true ? 'pipe' : 'ignore', 'pipe', 'pipe'],
    ...(options.env === undefined ? {} : { env: options.env }),
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  });
  const guard = new Guard(command, child, options.timeoutMs, options.signal);
  let tail = Buffer.alloc(0);
  child.stderr?.on('data', (chunk: Buffer) => {
    tail = Buffer.concat([tail, chunk]).subarray(-STDERR_TAIL);
    options.onStderr?.(chunk);
  });
  // Whoever writes sees the program's end through stdout; a broken pipe must not bring the whole engine down.
  child.stdin?.on('error', () => {});
  await guard.started;

  async function* output(source: Readable): AsyncGenerator<Buffer> {
    using owned = guard;
    try {
      for await (const chunk of source) yield chunk as Buffer;
      const code = await owned.closed;
      if (code !== 0) {
        throw internal(`"${command}" ended with code ${code}: ${tail.toString('utf8').trim()}`);
      }
    } finally {
      child.kill('SIGKILL');
    }
  }
  if (child.stdout === null) throw internal(`"${command}" was started without stdout`);
  const stdout = Readable.from(output(child.stdout), { objectMode: false });
  // A Readable destroyed before its first read never enters the generator, so its `finally` would not run.
  stdout.once('close', () => {
    child.kill('SIGKILL');
    guard[Symbol.dispose]();
  });
  return { pid: child.pid ?? 0, stdout, stdin: child.stdin ?? undefined };
}

export interface DetachedOptions {
  env?: NodeJS.ProcessEnv;
  cwd?: string;
  /** File descriptors of this process that the child gets as its 1 and 2, /dev/null without them. */
  stdout?: number;
  stderr?: number;
}

export interface ChildHandle {
  readonly pid: number;
  /** Exit code (128 + n for signal n), as long as this process lives to see it. Never rejects. */
  readonly exited: Promise<number>;
}

/**
 * Starts a program in a session of its own that outlives this process: stdio on /dev/null, not holding the event loop open.
 * Rejects when it cannot be started.
 */
export async function spawnDetached(
  command: string,
  args: readonly string[],
  options: DetachedOptions = {},
): Promise<ChildHandle> {
  const child = spawn(command, args, {
    detached: true,
    stdio: ['ignore', options.stdout ?? 'ignore', options.stderr ?? 'ignore'],
    ...(options.env === undefined ? {} : { env: options.env }),
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  });
  const guard = new Guard(command, child, undefined, undefined);
  await guard.started;
  child.unref();
  return { pid: child.pid ?? 0, exited: guard.closed };
}

/** Kills a child at its deadline or on abort, and turns its events into promises. */
class Guard implements Disposable {
  readonly started: Promise<void>;
  /** The process has ended and its output was read. */
  readonly closed: Promise<number>;
  readonly #child: ChildProcess;
  readonly #timer: NodeJS.Timeout | undefined;
  readonly #signal: AbortSignal | undefined;
  #failure: Error | undefined;

  constructor(
    command: string,
    child: ChildProcess,
    timeoutMs: number | undefined,
    signal: AbortSignal | undefined,
  ) {
    this.#child = child;
    this.#signal = signal;
    const started = Promise.withResolvers<void>();
    const closed = Promise.withResolvers<number>();
    this.started = started.promise;
    this.closed = closed.promise;
    child.once('spawn', () => started.resolve());
    child.once('error', (cause) => {
      const error = internal(`Cannot run "${command}": ${cause.message}`, { cause });
      started.reject(error);
      closed.reject(error);
    });
    child.once('close', (code, name) => {
      if (this.#failure === undefined) closed.resolve(code ?? 128 + ((name && SIGNALS[name]) ?? 9));
      else closed.reject(this.#failure);
    });
    // Only one of the two promises may have a reader.
    this.started.catch(() => {});
    this.closed.catch(() => {});
    if (timeoutMs !== undefined) {
      this.#timer = setTimeout(
        () => this.fail(internal(`"${command}" did not end within ${timeoutMs} ms`)),
        timeoutMs,
      );
    }
    signal?.addEventListener('abort', this.#onAbort, { once: true });
  }

  fail(error: Error): void {
    this.#failure ??= error;
    this.#child.kill('SIGKILL');
    // A grandchild may hold the pipes open long after: 'close' must not wait for it.
    this.#child.stdout?.destroy(error);
    this.#child.stderr?.destroy();
  }

  readonly #onAbort = (): void => {
    const reason: unknown = this.#signal?.reason;
    this.fail(reason instanceof Error ? reason : internal('aborted'));
  };

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    this.#signal?.removeEventListener('abort', this.#onAbort);
  }
}

function collect(stream: Readable | null, limit: number, guard: Guard): Buffer[] {
  const chunks: Buffer[] = [];
  let size = 0;
  stream?.on('error', () => {});
  stream?.on('data', (chunk: Buffer) => {
    size += chunk.length;
    if (size > limit) guard.fail(internal(`The program wrote more than ${limit} bytes`));
    else chunks.push(chunk);
  });
  return chunks;
}

/** Sends a signal to a process; false when there is no such process. */
export function killPid(pid: number, signal: number): boolean {
  try {
    process.kill(pid, signal);
    return true;
  } catch (error) {
    if (errnoCode(error) === 'ESRCH') return false;
    throw error;
  }
}
