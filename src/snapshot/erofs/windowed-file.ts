import type { FileHandle } from 'node:fs/promises';

const WINDOW = 256 << 10;
const WINDOWS = 8;

interface Window {
  index: number;
  bytes: Buffer;
  length: number;
}

/**
 * Reads many small ranges of a file that lie near each other, in two or three places at a time, as a layer's file data and
 * its inlined tails do: a few windows, the least recently used one refilled.
 */
export class WindowedFile implements AsyncDisposable {
  readonly #handle: FileHandle;
  readonly #windows: Window[] = [];

  constructor(handle: FileHandle) {
    this.#handle = handle;
  }

  /** Yields the range as far as the file goes. A buffer shorter than `WINDOW` is valid until the next is asked for. */
  async *read(offset: number, length: number): AsyncGenerator<Buffer> {
    let at = offset;
    const end = offset + length;
    while (at < end) {
      const piece = end - at >= WINDOW ? await this.#readFresh(at) : await this.#fromWindow(at, end);
      if (piece.length === 0) return;
      yield piece;
      at += piece.length;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#handle.close();
  }

  async #readFresh(at: number): Promise<Buffer> {
    const buffer = Buffer.allocUnsafe(WINDOW);
    const { bytesRead } = await this.#handle.read(buffer, 0, WINDOW, at);
    return buffer.subarray(0, bytesRead);
  }

  async #fromWindow(at: number, end: number): Promise<Buffer> {
    const index = Math.floor(at / WINDOW);
    const found = this.#windows.findIndex((window) => window.index === index);
    const window = found >= 0 ? this.#windows.splice(found, 1)[0] : await this.#fill(index);
    if (window === undefined) return Buffer.alloc(0);
    this.#windows.push(window);
    const from = at - index * WINDOW;
    return window.bytes.subarray(from, Math.max(from, Math.min(window.length, end - index * WINDOW)));
  }

  async #fill(index: number): Promise<Window> {
    const oldest = this.#windows.length === WINDOWS ? this.#windows.shift() : undefined;
    const bytes = oldest?.bytes ?? Buffer.allocUnsafe(WINDOW);
    const { bytesRead } = await this.#handle.read(bytes, 0, WINDOW, index * WINDOW);
    return { index, bytes, length: bytesRead };
  }
}
