import { EROFS_BLOCK, SLOT } from './erofs-format.ts';
import type { ImageFile } from './image-file.ts';

const FIRST_EXTENT = 4;
const LARGEST_EXTENT = 256;
/** Blocks with room left that are looked through for a place. */
const OPEN_BLOCKS = 8;
const SMALLEST = 96;

/**
 * Room for inodes with what stands right behind them (xattrs, symlink targets, the tails of files), handed out while file
 * data streams by: runs of blocks are kept free in the image, filled in memory, and written when full. Nothing that fits a
 * block crosses into the next, as the kernel demands of symlinks and tails.
 */
export class MetadataArea {
  readonly #image: ImageFile;
  #extent = Buffer.alloc(0);
  #extentAt = 0;
  #blocks = FIRST_EXTENT / 2;
  #nextBlock = 0;
  /** Where in the extent the open blocks are free from, to their ends. */
  #open: number[] = [];

  constructor(image: ImageFile) {
    this.#image = image;
  }

  /** The place in the image of `size` bytes, which `fill` writes at once into the zeroed buffer it is given. */
  place(size: number, fill: (buffer: Buffer, at: number, position: number) => void): number {
    if (size > EROFS_BLOCK) return this.#placeLarge(size, fill);
    const at = this.#find(size);
    fill(this.#extent, at, this.#extentAt + at);
    return this.#extentAt + at;
  }

  flush(): void {
    if (this.#extent.length > 0) this.#image.writeAt(this.#extentAt, this.#extent);
    this.#extent = Buffer.alloc(0);
    this.#open = [];
  }

  #find(size: number): number {
    for (const [index, from] of this.#open.entries()) {
      if (EROFS_BLOCK - (from % EROFS_BLOCK) >= size) return this.#take(index, from, size);
    }
    if (this.#nextBlock * EROFS_BLOCK >= this.#extent.length) this.#beginExtent();
    if (this.#open.length === OPEN_BLOCKS) this.#open.shift();
    const from = this.#nextBlock++ * EROFS_BLOCK;
    this.#open.push(from);
    return this.#take(this.#open.length - 1, from, size);
  }

  #take(index: number, from: number, size: number): number {
    const next = Math.ceil((from + size) / SLOT) * SLOT;
    const isFull = next % EROFS_BLOCK === 0 || EROFS_BLOCK - (next % EROFS_BLOCK) < SMALLEST;
    if (isFull) this.#open.splice(index, 1);
    else this.#open[index] = next;
    return from;
  }

  #beginExtent(): void {
    this.flush();
    this.#blocks = Math.min(this.#blocks * 2, LARGEST_EXTENT);
    this.#extentAt = this.#image.align() * EROFS_BLOCK;
    this.#extent = Buffer.alloc(this.#blocks * EROFS_BLOCK);
    this.#image.appendZeros(this.#extent.length);
    this.#nextBlock = 0;
  }

  #placeLarge(size: number, fill: (buffer: Buffer, at: number, position: number) => void): number {
    const position = this.#image.align() * EROFS_BLOCK;
    const buffer = Buffer.alloc(size);
    fill(buffer, 0, position);
    this.#image.append(buffer, 0, size);
    this.#image.align();
    return position;
  }
}
