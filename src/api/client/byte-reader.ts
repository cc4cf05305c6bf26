import type { Duplex } from 'node:stream';

/** Enough bytes waiting that the peer should be held back until someone reads them. */
const HIGH_WATER = 1 << 20;

/** Pulls a socket's bytes in order, with pushing back: what is taken too much of is put at the front again. */
export class ByteReader {
  readonly #socket: Duplex;
  readonly #chunks: Buffer[] = [];
  #waiting = 0;
  #ended = false;
  #error: Error | undefined;
  #wake: (() => void) | undefined;

  constructor(socket: Duplex) {
    this.#socket = socket;
    socket.on('data', (chunk: Buffer) => {
      this.#chunks.push(chunk);
      this.#waiting += chunk.length;
      if (this.#waiting > HIGH_WATER) socket.pause();
      this.#wake?.();
    });
    const end = (): void => {
      this.#ended = true;
      this.#wake?.();
    };
    socket.on('end', end);
    socket.on('close', end);
    socket.on('error', (error: Error) => {
      this.#error = error;
      end();
    });
  }

  /** The next bytes, or undefined at the end of the stream. */
  async read(): Promise<Buffer | undefined> {
    while (this.#chunks.length === 0) {
      if (this.#error) throw this.#error;
      if (this.#ended) return undefined;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#wake = undefined;
    }
    const chunk = this.#chunks.shift();
    if (chunk) this.#waiting -= chunk.length;
    if (this.#socket.isPaused() && this.#waiting < HIGH_WATER / 2) this.#socket.resume();
    return chunk;
  }

  unread(chunk: Buffer): void {
    if (chunk.length === 0) return;
    this.#chunks.unshift(chunk);
    this.#waiting += chunk.length;
  }

  /** Up to and without `delimiter`; undefined when the stream ends before it. */
  async readUntil(delimiter: string): Promise<string | undefined> {
    let seen: Buffer = Buffer.alloc(0);
    for (;;) {
      const chunk = await this.read();
      if (chunk === undefined) return undefined;
      seen = seen.length === 0 ? chunk : Buffer.concat([seen, chunk]);
      const at = seen.indexOf(delimiter, 0, 'latin1');
      if (at === -1) continue;
      this.unread(seen.subarray(at + delimiter.length));
      return seen.toString('latin1', 0, at);
    }
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Buffer, void, undefined> {
    for (;;) {
      const chunk = await this.read();
      if (chunk === undefined) return;
      yield chunk;
    }
  }
}
