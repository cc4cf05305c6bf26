import { conflict, notImplemented } from '#/base/errors.ts';
import { formatNanosFixed } from './log-time.ts';
import type { Attachment } from '#/runtime/runtime.ts';
import type { Container, Containers } from './containers.ts';
import { readLog } from './log-reader.ts';
import { isRunning } from './record.ts';

/** A piece of output as clients get it. */
export interface LogFrame {
  stream: 'stdout' | 'stderr';
  data: Buffer;
}

export interface AttachOptions {
  stdin: boolean;
  stdout: boolean;
  stderr: boolean;
  /** Go on with what is yet to come; without it only the log so far is sent. */
  stream: boolean;
  /** Send the log so far first. */
  logs: boolean;
}

export interface AttachSession {
  terminal: boolean;
  /** Keys that detach are the client's or the engine's choice; whoever serves the stream looks for them. */
  backlog?: AsyncIterable<LogFrame>;
  /** Resolves when the container runs, which for one that was only created is when it is started. Absent without `stream`. */
  attachment?: Promise<Attachment>;
}

export interface LogOptions {
  stdout: boolean;
  stderr: boolean;
  follow: boolean;
  since?: bigint;
  until?: bigint;
  tail?: number;
  timestamps: boolean;
  details: boolean;
}

/** Clients' holds on containers' output and input: attach and logs. */
export class Streams {
  readonly #containers: Containers;
  readonly #logPath: (id: string) => string;

  constructor({ containers, logPath }: { containers: Containers; logPath: (id: string) => string }) {
    this.#containers = containers;
    this.#logPath = logPath;
  }

  /** Throws `conflict` in Docker's words for a container that is paused or restarting. */
  async attach(reference: string, options: AttachOptions, signal?: AbortSignal): Promise<AttachSession> {
    const container = this.#containers.get(reference);
    const { record } = container;
    if (record.state.status === 'paused') {
      throw conflict(`Container ${reference} is paused, unpause the container before attach`);
    }
    if (record.state.status === 'restarting') {
      throw conflict(`Container ${reference} is restarting, wait until the container is running`);
    }
    const session: AttachSession = { terminal: record.config.Tty ?? false };
    if (options.logs) {
      const wanted = { ...options, follow: false, timestamps: false, details: false };
      session.backlog = this.#frames(container, wanted);
    }
    if (options.stream) {
      const want = {
        stdin: options.stdin && (record.config.OpenStdin ?? false),
        output: options.stdout || options.stderr,
      };
      session.attachment = attachNowOrAtStart(container, want, signal);
      // The caller may be gone before it looks.
      session.attachment.catch(() => {});
    }
    return session;
  }

  async logs(
    reference: string,
    options: LogOptions,
    signal?: AbortSignal,
  ): Promise<{ terminal: boolean; frames: AsyncIterable<LogFrame> }> {
    const container = this.#containers.get(reference);
    const driver = container.record.hostConfig.LogConfig?.Type;
    if (driver === 'none') {
      throw notImplemented('configured logging driver does not support reading');
    }
    return {
      terminal: container.record.config.Tty ?? false,
      frames: this.#frames(container, options, signal),
    };
  }

  async *#frames(container: Container, options: LogOptions, signal?: AbortSignal): AsyncGenerator<LogFrame> {
    const follow = options.follow && isRunning(container.record) ? container.outputEnded() : undefined;
    const entries = readLog(
      this.#logPath(container.id),
      { since: options.since, until: options.until, tail: options.tail, follow },
      signal,
    );
    const details = options.details ? `${logDetails(container)} ` : '';
    for await (const entry of entries) {
      if (!options[entry.stream]) continue;
      const prefix = `${options.timestamps ? `${formatNanosFixed(entry.time)} ` : ''}${details}`;
      yield {
        stream: entry.stream,
        data: prefix === '' ? entry.data : Buffer.concat([Buffer.from(prefix), entry.data]),
      };
    }
  }
}

function attachNowOrAtStart(
  container: Container,
  want: { stdin: boolean; output: boolean },
  signal?: AbortSignal,
): Promise<Attachment> {
  if (container.task !== undefined && isRunning(container.record)) return container.task.attach(want);
  return new Promise((resolve, reject) => {
    const pending = { want, resolve, reject };
    container.pendingAttaches.add(pending);
    signal?.addEventListener('abort', () => {
      if (container.pendingAttaches.delete(pending)) reject(new Error('The client went away'));
    });
  });
}

/** What `logs --details` puts before each line: the labels and variables that the log options name. */
function logDetails(container: Container): string {
  const { Config: options = {} } = container.record.hostConfig.LogConfig ?? {};
  const details = new Map<string, string>();
  for (const label of (options['labels'] ?? '').split(',').filter(Boolean)) {
    const value = container.record.config.Labels?.[label];
    if (value !== undefined) details.set(label, value);
  }
  for (const name of (options['env'] ?? '').split(',').filter(Boolean)) {
    const variable = container.record.config.Env?.find((entry) => entry.startsWith(`${name}=`));
    if (variable !== undefined) details.set(name, variable.slice(name.length + 1));
  }
  return [...details]
    .map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`)
    .join(',');
}
