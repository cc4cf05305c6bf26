import { OPAQUE_XATTR } from '#/archive/member-path.ts';
import {
  EROFS_BLOCK,
  FileType,
  FORMAT_BITS,
  INODE_SIZE,
  LAYOUT_INLINE,
  LAYOUT_PLAIN,
  ROOT_NID,
  SLOT,
  writeInode,
} from './erofs-format.ts';
import { encodeXattrs } from './erofs-xattr.ts';
import type { ImageFile } from './image-file.ts';
import { Directory, type Node, nidOf, typeOf, WHITEOUT } from './layer-tree.ts';

const DIRENT = 12;
/** Entries up to this many bytes stand behind the directory's inode; more get a block. */
const LARGEST_TAIL = 2048;

/** Where a directory goes, worked out before any is written, for each names its parent and its children by number. */
interface Plan {
  directory: Directory;
  /** Sorted by bytes with `.` and `..` among them: the kernel looks names up by halving. */
  names: string[];
  /** In `names`, where each block begins. */
  blockStarts: number[];
  /** Bytes used of the last block. */
  lastBlock: number;
  isInline: boolean;
  xattrs: Buffer;
  /** The inode's place in the region of directories' inodes. */
  at: number;
  firstBlock: number;
}

/** Writes all directories, at the end of the image: their inodes in one region, then the blocks of those with many entries. */
export class DirectoryWriter {
  readonly #image: ImageFile;
  readonly #plans: Plan[] = [];
  readonly #regionStart: number;

  constructor(image: ImageFile, root: Directory) {
    this.#image = image;
    this.#regionStart = image.align() * EROFS_BLOCK;
    const left = [root];
    for (let directory = left.pop(); directory !== undefined; directory = left.pop()) {
      this.#plans.push(plan(directory, directory === root));
      for (const node of directory.entries.values()) if (node instanceof Directory) left.push(node);
    }
  }

  get count(): number {
    return this.#plans.length;
  }

  /** Writes them. Returns what writes the root's inode, which stands in block 0. */
  write(): (block: Buffer) => void {
    this.#assignPlaces();
    const buffer = Buffer.alloc(EROFS_BLOCK);
    for (const plan of this.#plans.slice(1)) {
      this.#image.appendZeros(this.#regionStart + plan.at - this.#image.position);
      writeDirectoryInode(buffer, 0, plan);
      this.#image.append(buffer, 0, INODE_SIZE);
      this.#image.append(plan.xattrs, 0, plan.xattrs.length);
      if (plan.isInline) {
        writeBlock(buffer, plan, plan.blockStarts.length - 1);
        this.#image.append(buffer, 0, plan.lastBlock);
      }
    }
    this.#image.align();
    for (const plan of this.#plans) {
      const blocks = plan.blockStarts.length - (plan.isInline ? 1 : 0);
      for (let block = 0; block < blocks; block++) {
        writeBlock(buffer, plan, block);
        this.#image.append(buffer, 0, EROFS_BLOCK);
      }
    }
    const [root] = this.#plans;
    return (block) => {
      if (root !== undefined) writeDirectoryInode(block, ROOT_NID * SLOT, root);
    };
  }

  #assignPlaces(): void {
    let cursor = 0;
    let blocks = 0;
    for (const [index, plan] of this.#plans.entries()) {
      plan.firstBlock = blocks;
      blocks += plan.blockStarts.length - (plan.isInline ? 1 : 0);
      if (index === 0) continue;
      const size = INODE_SIZE + plan.xattrs.length + (plan.isInline ? plan.lastBlock : 0);
      const room = EROFS_BLOCK - (cursor % EROFS_BLOCK);
      if (size > room) cursor += room;
      plan.at = cursor;
      plan.directory.nid = (this.#regionStart + cursor) / SLOT;
      cursor = Math.ceil((cursor + size) / SLOT) * SLOT;
    }
    const regionBlocks = Math.ceil(cursor / EROFS_BLOCK);
    for (const plan of this.#plans) plan.firstBlock += this.#regionStart / EROFS_BLOCK + regionBlocks;
  }
}

function plan(directory: Directory, isRoot: boolean): Plan {
  const names = ['.', '..', ...directory.entries.keys()].sort();
  const blockStarts = [0];
  let used = 0;
  for (const [index, name] of names.entries()) {
    const size = DIRENT + name.length;
    if (used + size > EROFS_BLOCK) {
      blockStarts.push(index);
      used = 0;
    }
    used += size;
  }
  const xattrs = isRoot ? Buffer.alloc(0) : xattrsOf(directory);
  const fits = used <= LARGEST_TAIL && INODE_SIZE + xattrs.length + used <= EROFS_BLOCK;
  return {
    directory,
    names,
    blockStarts,
    lastBlock: used,
    isInline: fits && !isRoot,
    xattrs,
    at: 0,
    firstBlock: 0,
  };
}

function xattrsOf(directory: Directory): Buffer {
  const xattrs = new Map(directory.attributes.xattrs);
  xattrs.delete(OPAQUE_XATTR);
  if (directory.opaque) xattrs.set(OPAQUE_XATTR, Buffer.from('y'));
  return encodeXattrs(xattrs);
}

function writeDirectoryInode(buffer: Buffer, at: number, plan: Plan): void {
  const { directory } = plan;
  let subdirectories = 0;
  for (const node of directory.entries.values()) if (node instanceof Directory) subdirectories++;
  writeInode(buffer, at, {
    ...directory.attributes,
    layout: plan.isInline ? LAYOUT_INLINE : LAYOUT_PLAIN,
    mode: FORMAT_BITS.directory | directory.attributes.mode,
    size: (plan.blockStarts.length - 1) * EROFS_BLOCK + plan.lastBlock,
    nlink: 2 + subdirectories,
    union: plan.firstBlock,
    nid: directory.nid,
    xattrSize: plan.xattrs.length,
  });
}

/** One block of entries: the dirents, then their names. */
function writeBlock(buffer: Buffer, plan: Plan, block: number): void {
  const start = plan.blockStarts[block] ?? 0;
  const end = plan.blockStarts[block + 1] ?? plan.names.length;
  buffer.fill(0);
  let nameAt = (end - start) * DIRENT;
  for (let index = start; index < end; index++) {
    const name = plan.names[index] ?? '';
    const { nid, type } = target(plan.directory, name);
    const at = (index - start) * DIRENT;
    buffer.writeUInt32LE(nid % 2 ** 32, at);
    buffer.writeUInt32LE(Math.floor(nid / 2 ** 32), at + 4);
    buffer.writeUInt16LE(nameAt, at + 8);
    buffer[at + 10] = type;
    nameAt += buffer.write(name, nameAt, 'latin1');
  }
}

function target(directory: Directory, name: string): { nid: number; type: number } {
  if (name === '.') return { nid: directory.nid, type: FileType.directory };
  if (name === '..') return { nid: directory.parent.nid, type: FileType.directory };
  const node: Node = directory.entries.get(name) ?? 0;
  if (node instanceof Directory) return { nid: node.nid, type: FileType.directory };
  return { nid: nidOf(node), type: typeOf(node) === WHITEOUT ? FileType.character : typeOf(node) };
}
