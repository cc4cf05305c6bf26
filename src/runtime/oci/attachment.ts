import { Readable, Writable } from 'node:stream';

import { conflict } from '#/base/errors.ts';
import type { Attachment } from '#/runtime/runtime.ts';

import { MonitorConnection, type MonitorEvents } from './monitor-connection.ts';

/**
 * Attaches to a monitor's stdio; resolves once all output from now on will come. Both output streams are cut from one
 * connection, so an unread one stops the other: whoever wants only one calls `resume()` on the other.
 *
 * Stdin has a connection of its own: the process may end before it has read everything, and writing to a closed socket makes
 * Node throw away what was still to be read from it.
 */
export async function openAttachment(
  socket: string,
  want: { stdin: boolean; output: boolean },
): Promise<Attachment> {
  const output = new Output();
  const stdin = want.stdin ? new Stdin() : undefined;
  using undo = new DisposableStack();
  const [outputConnection, stdinConnection] = await Promise.all([
    connect(socket, { output: want.output, stdin: false }, output.events),
    stdin && connect(socket, { output: false, stdin: true }, stdin.events),
  ]);
  undo.use(outputConnection);
  undo.use(stdinConnection);
  output.connection = outputConnection;
  if (stdin !== undefined) stdin.connection = stdinConnection;
  const open = undo.move();
  return {
    stdout: output.stdout,
    stderr: output.stderr,
    stdin: stdin?.stream,
    [Symbol.dispose]: () => open.dispose(),
  };
}

/** Resolves when the monitor has answered the attach. */
async function connect(
  socket: string,
  want: { stdin: boolean; output: boolean },
  events: MonitorEvents,
): Promise<MonitorConnection> {
  const ready = Promise.withResolvers<void>();
  // The first greets the connection, the second answers the attach.
  let hellos = 0;
  const connection = await MonitorConnection.connect(socket, {
    ...events,
    hello() {
      if (++hellos === 2) ready.resolve();
    },
    closed() {
      events.closed?.();
      ready.reject(conflict('The process has already ended'));
    },
  });
  if (connection === undefined) throw conflict('The process has already ended');
  connection.attach(want);
  await ready.promise;
  return connection;
}

class Output {
  connection: MonitorConnection | undefined;
  readonly stdout: Readable;
  readonly stderr: Readable;
  /** Streams whose buffers are full: while there is one, the connection is not read. */
  readonly #full = new Set<Readable>();

  constructor() {
    this.stdout = this.#stream();
    this.stderr = this.#stream();
  }

  readonly events: MonitorEvents = {
    output: (name, piece) => {
      const stream = this[name];
      if (stream.destroyed || stream.readableEnded) return;
      if (piece.length === 0) {
        stream.push(null);
      } else if (!stream.push(piece)) {
        this.#full.add(stream);
        this.connection?.pause();
      }
    },
    closed: () => {
      for (const stream of [this.stdout, this.stderr]) if (!stream.destroyed) stream.push(null);
    },
  };

  #stream(): Readable {
    const stream = new Readable({ read: () => this.#drained(stream) });
    // A reader that gave up on one stream must not stop the other.
    stream.once('close', () => this.#drained(stream));
    return stream;
  }

  #drained(stream: Readable): void {
    if (this.#full.delete(stream) && this.#full.size === 0) this.connection?.resume();
  }
}

class Stdin {
  connection: MonitorConnection | undefined;
  readonly stream: Writable;

  constructor() {
    this.stream = new Writable({
      // What the process does not take waits in the monitor and the socket, and then here.
      write: (chunk: Buffer, _encoding, done) => this.connection?.writeStdin(chunk, () => done()),
      final: (done) => {
        this.connection?.endStdin();
        done();
      },
    });
    // Writing to a process that has ended is no failure of the writer's.
    this.stream.on('error', () => {});
  }

  readonly events: MonitorEvents = { closed: () => this.stream.destroy() };
}
