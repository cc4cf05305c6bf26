import { closeSync, fdatasync, fstatSync, fsyncSync, ftruncateSync, openSync, writeSync } from 'node:fs';
import { invalid } from '#/base/errors.ts';
import { EROFS_BLOCK, MAX_BLOCKS } from './erofs-format.ts';

const BUFFER = 4 << 20;
/** Dirty bytes after which the disk is set to work, so that the fsync at the end finds little left to do. */
const WRITEBACK = 64 << 20;

/** An image in the making: appended to, with places kept free that are filled in later. Synchronous, for a worker thread. */
export class ImageFile {
  readonly #fd: number;
  readonly #buffer = Buffer.allocUnsafe(BUFFER);
  #used = 0;
  #flushed = 0;
  #sinceWriteback = 0;

  constructor(file: string) {
    this.#fd = openSync(file, 'wx', 0o600);
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
    writeAll(this.#fd, bytes, bytes.length, position);
  }

  flush(): void {
    writeAll(this.#fd, this.#buffer, this.#used, this.#flushed);
    this.#flushed += this.#used;
    this.#sinceWriteback += this.#used;
    this.#used = 0;
    if (this.#sinceWriteback < WRITEBACK) return;
    this.#sinceWriteback = 0;
    // A failure shows again in finish().
    fdatasync(this.#fd, () => {});
  }

  /** Makes the image durable and closes it. Returns the bytes it takes on the disk. */
  finish(): number {
    this.flush();
    ftruncateSync(this.#fd, this.#flushed);
    fsyncSync(this.#fd);
    const { blocks } = fstatSync(this.#fd);
    closeSync(this.#fd);
    return blocks * 512;
  }

  abandon(): void {
    closeSync(this.#fd);
  }
}

function writeAll(fd: number, bytes: Buffer, length: number, position: number): void {
  let done = 0;
  while (done < length) done += writeSync(fd, bytes, done, length - done, position + done);
}
