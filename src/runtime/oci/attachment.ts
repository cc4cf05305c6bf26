import { Readable, Writable } from 'node:stream';

import { conflict } from '#/base/errors.ts';
import type { Attachment } from '#/runtime/runtime.ts';

import { MonitorConnection } from './monitor-connection.ts';

/**
 * Attaches to a monitor's stdio; resolves once all output from now on will come. Both output streams are cut from one
 * connection, so an unread one stops the other: whoever wants only one calls `resume()` on the other.
 */
export async function openAttachment(
  socket: string,
  want: { stdin: boolean; output: boolean },
): Promise<Attachment> {
  let connection: MonitorConnection | undefined;
  const full = new Set<Readable>();
  const output = (): Readable => {
    const stream = new Readable({
      read() {
        full.delete(stream);
        if (full.size === 0) connection?.resume();
      },
    });
    return stream;
  };
  const streams = { stdout: output(), stderr: output() };
  const stdin = want.stdin ? stdinOf(() => connection) : undefined;
  const ready = Promise.withResolvers<void>();
  let hellos = 0;

  connection = await MonitorConnection.connect(socket, {
    hello() {
      // The first greets the connection, the second answers the attach.
      if (++hellos === 2) ready.resolve();
    },
    output(name, piece) {
      const stream = streams[name];
      if (stream.destroyed || stream.readableEnded) return;
      if (piece.length === 0) {
        stream.push(null);
      } else if (!stream.push(piece)) {
        full.add(stream);
        connection?.pause();
      }
    },
    closed() {
      for (const stream of Object.values(streams)) if (!stream.destroyed) stream.push(null);
      stdin?.destroy();
      ready.reject(conflict('The process has already ended'));
    },
  });
  if (connection === undefined) throw conflict('The process has already ended');
  connection.attach(want);
  await ready.promise;
  const attached = connection;
  for (const stream of Object.values(streams)) {
    // A reader that gave up on one stream must not stop the other.
    stream.once('close', () => {
      full.delete(stream);
      if (full.size === 0) attached.resume();
    });
  }
  return {
    ...streams,
    stdin,
    [Symbol.dispose]() {
      attached[Symbol.dispose]();
    },
  };
}

function stdinOf(connection: () => MonitorConnection | undefined): Writable {
  const stream = new Writable({
    // The bytes may outrun the process: what it does not take waits in the socket, and then here.
    write(chunk: Buffer, _encoding, done) {
      connection()?.writeStdin(chunk, () => done());
    },
    final(done) {
      connection()?.endStdin();
      done();
    },
  });
  // Writing to a process that has ended is no failure of the writer's.
  stream.on('error', () => {});
  return stream;
}
