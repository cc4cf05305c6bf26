import type { SparseRange, TarEntry } from '#/archive/tar-entry.ts';
import type { RecipeWriter } from '../recipe.ts';
import { EROFS_BLOCK, FORMAT_BITS, INODE_SIZE, LAYOUT_CHUNKS, SLOT, writeInode } from './erofs-format.ts';
import type { ImageFile } from './image-file.ts';
import type { MetadataArea } from './metadata-area.ts';

/** Chunks that one file is cut into at most: the map of a file of 4 GiB and more then takes 4 MiB. */
const MOST_CHUNKS = 1 << 20;

/**
 * Writes a file with holes as a chunk-based inode: a map with a block address, or a hole, for each chunk of the file. A chunk
 * that holds any data is written whole; its zeros are holes of the image file.
 */
export class SparseFileWriter {
  readonly #image: ImageFile;
  readonly #recipe: RecipeWriter;
  readonly #ranges: readonly SparseRange[];
  readonly #chunkBits: number;
  readonly #map: Buffer;
  /** The chunk in the making and how many of its bytes are written. */
  #chunk = -1;
  #written = 0;
  #range = 0;
  #inRange = 0;

  constructor(image: ImageFile, recipe: RecipeWriter, entry: TarEntry) {
    this.#image = image;
    this.#recipe = recipe;
    this.#ranges = entry.sparse ?? [];
    let bits = 12;
    while (Math.ceil(entry.size / 2 ** bits) > MOST_CHUNKS) bits++;
    this.#chunkBits = bits;
    this.#map = Buffer.alloc(Math.ceil(entry.size / 2 ** bits) * 4, 0xff);
  }

  data(buffer: Buffer, start: number, end: number): void {
    let at = start;
    while (at < end) {
      const range = this.#ranges[this.#range];
      if (range === undefined) return;
      const position = range.offset + this.#inRange;
      this.#enter(position);
      const chunkEnd = (this.#chunk + 1) * 2 ** this.#chunkBits;
      const length = Math.min(end - at, range.length - this.#inRange, chunkEnd - position);
      this.#recipe.data(0, this.#image.position, length);
      this.#image.append(buffer, at, at + length);
      this.#written += length;
      at += length;
      this.#inRange += length;
      if (this.#inRange === range.length) {
        this.#range++;
        this.#inRange = 0;
      }
    }
  }

  end(area: MetadataArea, entry: TarEntry, xattrs: Buffer): number {
    this.#leave();
    const position = area.place(INODE_SIZE + xattrs.length + this.#map.length, (buffer, at, place) => {
      writeInode(buffer, at, {
        layout: LAYOUT_CHUNKS,
        mode: FORMAT_BITS.file | entry.mode,
        uid: entry.uid,
        gid: entry.gid,
        size: entry.size,
        mtime: entry.mtime,
        mtimeNanoseconds: entry.mtimeNanoseconds,
        nlink: 1,
        // The low five bits of the chunk format are the chunk's size over the block's; the rest says "a map of addresses".
        union: this.#chunkBits - 12,
        nid: place / SLOT,
        xattrSize: xattrs.length,
      });
      xattrs.copy(buffer, at + INODE_SIZE);
      this.#map.copy(buffer, at + INODE_SIZE + xattrs.length);
    });
    return position / SLOT;
  }

  /** Goes to a position in the file: begins its chunk if need be and leaves zeros up to it. */
  #enter(position: number): void {
    const chunk = Math.floor(position / 2 ** this.#chunkBits);
    if (chunk !== this.#chunk) {
      this.#leave();
      this.#map.writeUInt32LE(this.#image.align(), chunk * 4);
      this.#chunk = chunk;
      this.#written = 0;
    }
    const gap = position - chunk * 2 ** this.#chunkBits - this.#written;
    this.#zeros(gap);
    this.#written += gap;
  }

  #leave(): void {
    if (this.#chunk >= 0) this.#zeros(2 ** this.#chunkBits - this.#written);
    this.#chunk = -1;
  }

  #zeros(length: number): void {
    if (length > 16 * EROFS_BLOCK) this.#image.skip(length);
    else this.#image.appendZeros(length);
  }
}
