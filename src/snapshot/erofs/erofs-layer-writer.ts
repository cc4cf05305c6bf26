import { randomBytes } from 'node:crypto';
import type { TarLimits } from '#/archive/limits.ts';
import {
  isAufsMetadata,
  memberPath,
  OPAQUE_WHITEOUT,
  OPAQUE_XATTR,
  WHITEOUT_PREFIX,
} from '#/archive/member-path.ts';
import { type TarEntry, textOf } from '#/archive/tar-entry.ts';
import type { TarHandler } from '#/archive/tar-parser.ts';
import { invalid } from '#/base/errors.ts';
import type { RecipeHeader, RecipeWriter } from '../recipe.ts';
import { DirectoryWriter } from './directory-writer.ts';
import {
  EROFS_BLOCK,
  encodeDevice,
  FileType,
  FORMAT_BITS,
  INODE_SIZE,
  LAYOUT_INLINE,
  LAYOUT_PLAIN,
  NLINK_OFFSET,
  sealSuperblock,
  SLOT,
  writeInode,
} from './erofs-format.ts';
import { encodeXattrs } from './erofs-xattr.ts';
import { FileWriter } from './file-writer.ts';
import { ImageFile } from './image-file.ts';
import { Directory, inodeNode, LayerTree, nidOf, WHITEOUT } from './layer-tree.ts';
import { MetadataArea } from './metadata-area.ts';

const NO_XATTRS = Buffer.alloc(0);

/**
 * Makes an EROFS image of the members of a tar, in one pass: file data and inodes are appended as they come, directories
 * at the end, the superblock last. Only directories and names are kept in memory.
 *
 * Members replace earlier ones of their name, except that directories merge; the root's own mode and owner stay root's
 * 0755: all as Docker unpacks.
 */
export class ErofsLayerWriter implements TarHandler {
  readonly #image: ImageFile;
  readonly #area: MetadataArea;
  readonly #tree: LayerTree;
  readonly #recipe: RecipeWriter;
  readonly #files: FileWriter;
  /** Inodes that hard links name: their links are counted when the tree is whole. */
  readonly #linked = new Set<number>();
  #inodes = 0;
  #whiteout: number | undefined;
  #current: { entry: TarEntry; xattrs: Buffer; directory: Directory; name: string } | undefined;

  constructor(file: string, recipe: RecipeWriter, limits: TarLimits) {
    this.#image = new ImageFile(file);
    this.#image.appendZeros(EROFS_BLOCK);
    this.#area = new MetadataArea(this.#image);
    this.#tree = new LayerTree(limits);
    this.#recipe = recipe;
    this.#files = new FileWriter(this.#image, this.#area, recipe);
  }

  entry(entry: TarEntry): void {
    if (entry.name.includes(WHITEOUT_PREFIX) && isAufsMetadata(memberPath(entry.name))) return;
    const place = this.#tree.locate(entry.name);
    if (place === undefined) return this.#setRoot(entry);
    const { directory, name } = place;
    if (name.startsWith(WHITEOUT_PREFIX)) return this.#addWhiteout(directory, name);
    if (entry.type === 'file') {
      const xattrs = xattrsOf(entry);
      this.#current = { entry, xattrs, directory, name };
      this.#files.begin(entry, xattrs);
      return;
    }
    switch (entry.type) {
      case 'directory': {
        const { mode, uid, gid, mtime, mtimeNanoseconds, xattrs } = entry;
        const made = this.#tree.makeDirectory(directory, name);
        made.attributes = { mode, uid, gid, mtime, mtimeNanoseconds, xattrs };
        if (xattrs?.get(OPAQUE_XATTR)?.toString('latin1') === 'y') made.opaque = true;
        break;
      }
      case 'hardlink': {
        const node = this.#tree.linkTarget(entry.name, entry.linkName);
        this.#linked.add(nidOf(node));
        this.#tree.set(directory, name, node);
        break;
      }
      case 'symlink':
        this.#tree.set(directory, name, this.#addSymlink(entry));
        break;
      default: {
        const nid = this.#addInode(entry, FORMAT_BITS[entry.type], encodeDevice(entry.major, entry.minor));
        this.#tree.set(directory, name, inodeNode(nid, FileType[entry.type]));
      }
    }
  }

  data(buffer: Buffer, start: number, end: number): void {
    // A whiteout's data is kept nowhere else.
    if (this.#current === undefined) this.#recipe.framing(buffer, start, end);
    else this.#files.data(buffer, start, end);
  }

  fileEnd(): void {
    if (this.#current === undefined) return;
    const { entry, xattrs, directory, name } = this.#current;
    this.#current = undefined;
    this.#inodes++;
    this.#tree.set(directory, name, inodeNode(this.#files.end(entry, xattrs), FileType.file));
  }

  framing(buffer: Buffer, start: number, end: number): void {
    this.#recipe.framing(buffer, start, end);
  }

  /** Completes the image and makes it durable. */
  finish(): RecipeHeader {
    this.#area.flush();
    const directories = new DirectoryWriter(this.#image, this.#tree.root);
    const rootInode = directories.write();
    this.#setLinkCounts();
    const superblock = Buffer.alloc(EROFS_BLOCK);
    rootInode(superblock);
    sealSuperblock(superblock, {
      inodes: this.#inodes + directories.count,
      blocks: this.#image.align(),
      usesChunks: this.#files.usesChunks,
      uuid: uuid(),
    });
    this.#image.writeAt(0, superblock);
    const diskSize = this.#image.finish();
    return { size: this.#files.bytes, diskSize, opaqueRoot: this.#tree.root.opaque };
  }

  abandon(): void {
    this.#image.abandon();
  }

  #setRoot(entry: TarEntry): void {
    if (entry.type !== 'directory') {
      throw invalid(`"${textOf(entry.name)}" is the root directory and nothing else can be`);
    }
    const { mtime, mtimeNanoseconds } = entry;
    this.#tree.root.attributes = { ...this.#tree.root.attributes, mtime, mtimeNanoseconds };
  }

  /** In a tar a whiteout counts for the layers below alone, wherever it stands: what the layer itself brings stays. */
  #addWhiteout(directory: Directory, name: string): void {
    if (name === OPAQUE_WHITEOUT) {
      directory.opaque = true;
      return;
    }
    const hidden = name.slice(WHITEOUT_PREFIX.length);
    if (hidden === '' || hidden === '.' || hidden === '..') return;
    const node = directory.entries.get(hidden);
    if (node instanceof Directory) node.opaque = true;
    if (node !== undefined) return;
    this.#tree.set(directory, hidden, this.#whiteoutNode());
  }

  /** One inode serves as every whiteout of the layer. */
  #whiteoutNode(): number {
    if (this.#whiteout === undefined) {
      const nothing = { mode: 0, uid: 0, gid: 0, mtime: 0, mtimeNanoseconds: 0, linkName: '' };
      const nid = this.#addInode(nothing, FORMAT_BITS.character, 0);
      this.#whiteout = inodeNode(nid, WHITEOUT);
      this.#linked.add(nid);
    }
    return this.#whiteout;
  }

  #addSymlink(entry: TarEntry): number {
    const xattrs = xattrsOf(entry);
    const target = Buffer.from(entry.linkName, 'latin1');
    let nid: number;
    if (INODE_SIZE + xattrs.length + target.length <= EROFS_BLOCK) {
      nid = this.#addInode({ ...entry, mode: 0o777 }, FORMAT_BITS.symlink, 0, target);
    } else {
      const block = this.#image.align();
      this.#image.append(target, 0, target.length);
      this.#image.align();
      nid = this.#addInode({ ...entry, mode: 0o777, size: target.length }, FORMAT_BITS.symlink, block);
    }
    this.#tree.addSymlink(nid, entry.linkName);
    return inodeNode(nid, FileType.symlink);
  }

  #addInode(
    entry: Pick<TarEntry, 'mode' | 'uid' | 'gid' | 'mtime' | 'mtimeNanoseconds' | 'xattrs'> & {
      size?: number;
    },
    format: number,
    union: number,
    inline: Buffer = NO_XATTRS,
  ): number {
    const xattrs = xattrsOf(entry);
    this.#inodes++;
    const size = INODE_SIZE + xattrs.length + inline.length;
    const position = this.#area.place(size, (buffer, at, place) => {
      writeInode(buffer, at, {
        layout: inline.length > 0 ? LAYOUT_INLINE : LAYOUT_PLAIN,
        mode: format | entry.mode,
        uid: entry.uid,
        gid: entry.gid,
        size: inline.length > 0 ? inline.length : (entry.size ?? 0),
        mtime: entry.mtime,
        mtimeNanoseconds: entry.mtimeNanoseconds,
        nlink: 1,
        union,
        nid: place / SLOT,
        xattrSize: xattrs.length,
      });
      xattrs.copy(buffer, at + INODE_SIZE);
      inline.copy(buffer, at + INODE_SIZE + xattrs.length);
    });
    return position / SLOT;
  }

  #setLinkCounts(): void {
    if (this.#linked.size === 0) return;
    const counts = new Map<number, number>();
    const left = [this.#tree.root];
    for (let directory = left.pop(); directory !== undefined; directory = left.pop()) {
      for (const node of directory.entries.values()) {
        if (node instanceof Directory) left.push(node);
        else if (this.#linked.has(nidOf(node))) counts.set(nidOf(node), (counts.get(nidOf(node)) ?? 0) + 1);
      }
    }
    const bytes = Buffer.alloc(4);
    for (const [nid, count] of counts) {
      bytes.writeUInt32LE(count);
      this.#image.writeAt(nid * SLOT + NLINK_OFFSET, bytes);
    }
  }
}

function xattrsOf(entry: Pick<TarEntry, 'xattrs'>): Buffer {
  if (entry.xattrs === undefined) return NO_XATTRS;
  return encodeXattrs(entry.xattrs);
}

function uuid(): Buffer {
  const bytes = randomBytes(16);
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  return bytes;
}
