import type { TarEntry } from '#/archive/tar-entry.ts';
import { SparseFileWriter } from './sparse-file-writer.ts';
import type { RecipeWriter } from '../recipe.ts';
import {
  EROFS_BLOCK,
  FORMAT_BITS,
  INODE_SIZE,
  LAYOUT_INLINE,
  LAYOUT_PLAIN,
  SLOT,
  writeInode,
} from './erofs-format.ts';
import type { ImageFile } from './image-file.ts';
import type { MetadataArea } from './metadata-area.ts';

/**
 * Ends of files up to this many bytes stand behind their inode instead of taking a block of their own. More would save
 * little room and spread the inodes over the image, so that walking the tree would read all of it.
 */
const LARGEST_TAIL = 2048;

/** Writes regular files, one after the other. */
export class FileWriter {
  readonly #image: ImageFile;
  readonly #area: MetadataArea;
  readonly #recipe: RecipeWriter;
  readonly #tail = Buffer.alloc(EROFS_BLOCK);
  #firstBlock = 0;
  #blockBytesLeft = 0;
  #tailSize = 0;
  #tailFilled = 0;
  #sparse: SparseFileWriter | undefined;
  /** Sum of the files' sizes. */
  bytes = 0;
  usesChunks = false;

  constructor(image: ImageFile, area: MetadataArea, recipe: RecipeWriter) {
    this.#image = image;
    this.#area = area;
    this.#recipe = recipe;
  }

  begin(entry: TarEntry, xattrs: Buffer): void {
    this.bytes += entry.size;
    if (entry.sparse !== undefined) {
      this.usesChunks = true;
      this.#sparse = new SparseFileWriter(this.#image, this.#recipe, entry);
      return;
    }
    const tail = entry.size % EROFS_BLOCK;
    const fits = INODE_SIZE + xattrs.length + tail <= EROFS_BLOCK;
    this.#tailSize = tail <= LARGEST_TAIL && fits ? tail : 0;
    this.#tailFilled = 0;
    this.#blockBytesLeft = entry.size - this.#tailSize;
    this.#firstBlock = this.#blockBytesLeft > 0 ? this.#image.align() : 0;
  }

  data(buffer: Buffer, start: number, end: number): void {
    if (this.#sparse !== undefined) return this.#sparse.data(buffer, start, end);
    const whole = Math.min(this.#blockBytesLeft, end - start);
    if (whole > 0) {
      this.#recipe.data(0, this.#image.position, whole);
      this.#image.append(buffer, start, start + whole);
      this.#blockBytesLeft -= whole;
    }
    this.#tailFilled += buffer.copy(this.#tail, this.#tailFilled, start + whole, end);
  }

  /** Returns the nid. */
  end(entry: TarEntry, xattrs: Buffer): number {
    const sparse = this.#sparse;
    if (sparse !== undefined) {
      this.#sparse = undefined;
      return sparse.end(this.#area, entry, xattrs);
    }
    if (entry.size > this.#tailSize) this.#image.align();
    const tail = this.#tailSize;
    const position = this.#area.place(INODE_SIZE + xattrs.length + tail, (buffer, at, place) => {
      writeInode(buffer, at, {
        layout: tail > 0 ? LAYOUT_INLINE : LAYOUT_PLAIN,
        mode: FORMAT_BITS.file | entry.mode,
        uid: entry.uid,
        gid: entry.gid,
        size: entry.size,
        mtime: entry.mtime,
        mtimeNanoseconds: entry.mtimeNanoseconds,
        nlink: 1,
        union: this.#firstBlock,
        nid: place / SLOT,
        xattrSize: xattrs.length,
      });
      xattrs.copy(buffer, at + INODE_SIZE);
      this.#tail.copy(buffer, at + INODE_SIZE + xattrs.length, 0, tail);
    });
    if (tail > 0) this.#recipe.data(0, position + INODE_SIZE + xattrs.length, tail);
    return position / SLOT;
  }
}
