import type { Writable } from 'node:stream';

/** Media types of output streams: bytes as they are, or in frames. The second has a name of its own since API 1.42. */
export const RAW_STREAM = 'application/vnd.docker.raw-stream';
export const MULTIPLEXED_STREAM = 'application/vnd.docker.multiplexed-stream';

export type StreamName = 'stdout' | 'stderr';

/** The 8 bytes before each piece of output: stream, three zeros, length in big-endian. */
export function frameHeader(stream: StreamName, length: number): Buffer {
  const header = Buffer.alloc(8);
  header[0] = stream === 'stdout' ? 1 : 2;
  header.writeUInt32BE(length, 4);
  return header;
}

/** Writes output to a client and waits while the client is slow. */
export class OutputWriter {
  readonly #target: Writable;
  readonly #framed: boolean;

  constructor(target: Writable, framed: boolean) {
    this.#target = target;
    this.#framed = framed;
  }

  /** Resolves when there is room for more, or the client is gone. */
  async write(stream: StreamName, data: Buffer): Promise<void> {
    if (data.length === 0) return;
    if (!this.#framed) return writeAll(this.#target, data);
    this.#target.cork();
    this.#target.write(frameHeader(stream, data.length));
    const room = writeAll(this.#target, data);
    this.#target.uncork();
    return room;
  }
}

/** `write` that resolves when there is room for more. Never rejects: a client that left is told by the request's signal. */
export async function writeAll(target: Writable, data: Buffer | string): Promise<void> {
  if (target.destroyed || target.writableEnded) return;
  if (target.write(data)) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  const go = (): void => {
    target.off('drain', go).off('close', go).off('error', go);
    resolve();
  };
  target.on('drain', go).on('close', go).on('error', go);
  await promise;
}
