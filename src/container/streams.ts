import { conflict, notImplemented } from '#/base/errors.ts';
import type { Attachment } from '#/runtime/runtime.ts';
import type { EventLog } from '#/state/events.ts';
import type { Container, Containers } from './containers.ts';
import { type ContainerContext, type ContainerPaths, publish } from './context.ts';
import { formatNanosFixed } from './logs/log-time.ts';
import { type LogEntry, readLog } from './logs/log-reader.ts';
import { readableLog } from './logs/log-target.ts';
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
  /** To be called when the client lets go by its detach keys. */
  detached: () => void;
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
  readonly #events: EventLog;
  readonly #paths: ContainerPaths;

  constructor({ containers, events, paths }: Pick<ContainerContext, 'containers' | 'events' | 'paths'>) {
    this.#containers = containers;
    this.#events = events;
    this.#paths = paths;
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
    const tell = (action: string): void => publish(this.#events, container, action);
    const session: AttachSession = { terminal: record.config.Tty ?? false, detached: () => tell('detach') };
    if (options.logs) {
      const wanted = { ...options, follow: false, timestamps: false, details: false };
      session.backlog = this.#frames(container, wanted);
    }
    tell('attach');
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
    return {
      terminal: container.record.config.Tty ?? false,
      frames: this.#frames(container, options, signal),
    };
  }

  /** Throws `notImplemented` where there is nothing to read, before the first frame is asked for. */
  #frames(container: Container, options: LogOptions, signal?: AbortSignal): AsyncIterable<LogFrame> {
    const file = readableLog(this.#paths, container.record);
    if (file === undefined) throw notImplemented('configured logging driver does not support reading');
    const follow = options.follow && isRunning(container.record) ? container.outputEnded() : undefined;
    const { since, until, tail } = options;
    return logFrames(readLog(file, { since, until, tail, follow }, signal), options);
  }
}

async function* logFrames(entries: AsyncIterable<LogEntry>, options: LogOptions): AsyncGenerator<LogFrame> {
  for await (const entry of entries) {
    if (!options[entry.stream]) continue;
    const time = options.timestamps ? `${formatNanosFixed(entry.time)} ` : '';
    const prefix = `${time}${options.details ? `${formatAttributes(entry.attributes)} ` : ''}`;
    yield {
      stream: entry.stream,
      data: prefix === '' ? entry.data : Buffer.concat([Buffer.from(prefix), entry.data]),
    };
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

/** What `logs --details` puts before each line. */
function formatAttributes(attributes: LogEntry['attributes']): string {
  return Object.entries(attributes)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map((pair) => pair.map(queryEscape).join('='))
    .join(',');
}

/** As Go's url.QueryEscape. */
function queryEscape(text: string): string {
  return encodeURIComponent(text)
    .replaceAll('%20', '+')
    .replaceAll(/[!'()*]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`);
}
