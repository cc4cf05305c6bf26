import { closeSync, constants, fstatSync, fsyncSync, ftruncateSync, openSync, writeSync } from 'node:fs';
import { errnoCode, invalid } from '#/base/errors.ts';
import { EROFS_BLOCK, MAX_BLOCKS } from './erofs-format.ts';

/** The compiler's library has it among the browser's things alone. */
declare const WebAssembly: { Memory: new (size: { initial: number }) => { buffer: ArrayBuffer } };

const BUFFER = 4 << 20;
const WASM_PAGE = 64 << 10;

/**
 * An image in the making: appended to, with places kept free that are filled in later. Synchronous, for a worker thread.
 *
 * Whole buffers go straight to the disk, past the page cache: a large layer is written once and read rarely, and copying it into
 * pages, and those out again, took as long as all the rest of the work on it. What is small or lies across goes through the cache.
 */
export class ImageFile {
  readonly #fd: number;
  /** Undefined where the filesystem knows no direct writes. */
  readonly #direct: number | undefined;
  readonly #buffer = alignedBuffer(BUFFER);
  #used = 0;
  #flushed = 0;

  constructor(file: string) {
    this.#fd = openSync(file, 'wx', 0o600);
    this.#direct = openDirect(file);
  }

  /** Where the next byte goes. */
  get position(): number {
    return this.#flushed + this.#used;
  }

  append(source: Buffer, start: number, end: number): void {
    let at = start;
    while (at < end) {
      const length = Math.min(end - at, BUFFER - this.#used);
      source.copy(this.#buffer, this.#used, at, at + length);
      this.#used += length;
      at += length;
      if (this.#used === BUFFER) this.flush();
    }
  }

  appendZeros(length: number): void {
    let left = length;
    while (left > 0) {
      const now = Math.min(left, BUFFER - this.#used);
      this.#buffer.fill(0, this.#used, this.#used + now);
      this.#used += now;
      left -= now;
      if (this.#used === BUFFER) this.flush();
    }
  }

  /** Fills the block in hand with zeros. Returns the number of the next. */
  align(): number {
    const over = this.position % EROFS_BLOCK;
    if (over > 0) this.appendZeros(EROFS_BLOCK - over);
    const block = this.position / EROFS_BLOCK;
    if (block >= MAX_BLOCKS) throw invalid('the layer is larger than EROFS can be');
    return block;
  }

  /** Zeros that take no room on the disk. */
  skip(length: number): void {
    this.flush();
    this.#flushed += length;
  }

  /** Writes at a place that was appended before. */
  writeAt(position: number, bytes: Buffer): void {
    if (position >= this.#flushed) {
      bytes.copy(this.#buffer, position - this.#flushed);
      return;
    }
    if (position + bytes.length > this.#flushed) this.flush();
    writeAll(this.#fd, bytes, position);
  }

  flush(): void {
    const isWhole = this.#used === BUFFER && this.#flushed % EROFS_BLOCK === 0;
    let done = 0;
    if (isWhole && this.#direct !== undefined) {
      done = writeSync(this.#direct, this.#buffer, 0, BUFFER, this.#flushed);
    }
    // A direct write that fell short (of a full disk) cannot go on from where it is, and the other tells why.
    writeAll(this.#fd, this.#buffer.subarray(done, this.#used), this.#flushed + done);
    this.#flushed += this.#used;
    this.#used = 0;
  }

  /** Makes the image durable and closes it. Returns the bytes it takes on the disk. */
  finish(): number {
    this.flush();
    ftruncateSync(this.#fd, this.#flushed);
    fsyncSync(this.#fd);
    const { blocks } = fstatSync(this.#fd);
    this.abandon();
    return blocks * 512;
  }

  abandon(): void {
    closeSync(this.#fd);
    if (this.#direct !== undefined) closeSync(this.#direct);
  }
}

/** Direct writes take memory that begins at a block of the disk, as WebAssembly's does, which begins at a page. */
function alignedBuffer(length: number): Buffer {
  return Buffer.from(new WebAssembly.Memory({ initial: length / WASM_PAGE }).buffer);
}

/** open(2): EINVAL where the filesystem does not support O_DIRECT. */
function openDirect(file: string): number | undefined {
  try {
    return openSync(file, constants.O_WRONLY | constants.O_DIRECT);
  } catch (error) {
    if (errnoCode(error) === 'EINVAL') return undefined;
    throw error;
  }
}

function writeAll(fd: number, bytes: Buffer, position: number): void {
  let done = 0;
  while (done < bytes.length) done += writeSync(fd, bytes, done, bytes.length - done, position + done);
}
