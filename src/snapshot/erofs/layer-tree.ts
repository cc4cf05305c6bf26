import { memberPath } from '#/archive/member-path.ts';
import { textOf } from '#/archive/tar-entry.ts';
import { invalid } from '#/base/errors.ts';
import { FileType, ROOT_NID } from './erofs-format.ts';

/** What a name in the tree stands for: a directory, or an inode that is in the image already. */
export type Node = Directory | number;

export interface DirectoryAttributes {
  mode: number;
  uid: number;
  gid: number;
  mtime: number;
  mtimeNanoseconds: number;
  xattrs?: ReadonlyMap<string, Buffer>;
}

/** A directory of the layer: kept in memory until all members are there, for only then its entries are known. */
export class Directory {
  readonly entries = new Map<string, Node>();
  readonly parent: Directory;
  attributes: DirectoryAttributes = { mode: 0o755, uid: 0, gid: 0, mtime: 0, mtimeNanoseconds: 0 };
  opaque = false;
  nid = ROOT_NID;

  constructor(parent?: Directory) {
    this.parent = parent ?? this;
  }
}

/** An inode and its file type (a FileType, or WHITEOUT) in one number, so that a hundred thousand names take little memory. */
export function inodeNode(nid: number, type: number): number {
  return nid * 16 + type;
}

export function nidOf(node: number): number {
  return Math.floor(node / 16);
}

export function typeOf(node: number): number {
  return node % 16;
}

/** A character device 0/0 that stands for a whiteout. */
export const WHITEOUT = 8 + FileType.character;

/** Symlinks that one path may pass, as the kernel's MAXSYMLINKS. */
const MAX_SYMLINKS = 40;

/**
 * The layer's names. Paths resolve as they would for a process whose root is the layer: symlinks on the way are followed
 * within it, `..` at the root stays there, and nothing outside exists.
 */
export class LayerTree {
  readonly root = new Directory();
  readonly #symlinks = new Map<number, string>();
  readonly #limits: { nameLength: number; depth: number };
  #lastPath: string | undefined;
  #lastDirectory = this.root;

  constructor(limits: { nameLength: number; depth: number }) {
    this.#limits = limits;
  }

  addSymlink(nid: number, target: string): void {
    this.#symlinks.set(nid, target);
  }

  /** Where a member belongs: the directory, made if need be, and the name in it. `undefined` for the root itself. */
  locate(member: string): { directory: Directory; name: string } | undefined {
    const slash = member.lastIndexOf('/', member.length - 2);
    const name = member.slice(slash + 1, member.endsWith('/') ? -1 : undefined);
    const isPlain = name !== '' && name !== '.' && name !== '..';
    const parent = isPlain ? member.slice(0, slash + 1) : member;
    const path = parent === this.#lastPath ? undefined : memberPath(parent, member);
    const last = isPlain ? name : path?.pop();
    if (last === undefined) return undefined;
    if (path !== undefined) {
      if (path.length >= this.#limits.depth)
        throw invalid(`file name too long: "${textOf(member)}" is too deep`);
      this.#lastDirectory = this.#directory(path, member);
      this.#lastPath = isPlain ? parent : undefined;
    }
    this.#checkName(last);
    return { directory: this.#lastDirectory, name: last };
  }

  /** The inode that a hard link's target names. Throws `invalid` when it leads out, is not there or is a directory. */
  linkTarget(member: string, target: string): number {
    let found: Node | undefined;
    try {
      const path = memberPath(target);
      const name = path.pop();
      if (name !== undefined) found = this.#walk(path, target, false)?.entries.get(name);
    } catch (error) {
      throw invalid(`invalid hardlink "${textOf(member)}" -> "${textOf(target)}"`, { cause: error });
    }
    if (typeof found !== 'number' || typeOf(found) === WHITEOUT) {
      const why = found instanceof Directory ? 'is a directory' : 'is not in the archive';
      throw invalid(`invalid hardlink "${textOf(member)}" -> "${textOf(target)}": the target ${why}`);
    }
    return found;
  }

  /** Puts an inode in a name's place; whatever had the name is gone. */
  set(directory: Directory, name: string, node: number): void {
    const before = directory.entries.get(name);
    // The path that was resolved last may have led through what goes.
    if (before instanceof Directory || (before !== undefined && typeOf(before) === FileType.symlink)) {
      this.#lastPath = undefined;
    }
    directory.entries.set(name, node);
  }

  /** The directory of this name, made where there was none or something else. */
  makeDirectory(parent: Directory, name: string): Directory {
    const before = parent.entries.get(name);
    if (before instanceof Directory) return before;
    const directory = new Directory(parent);
    // What a whiteout took away below must not show in the directory that comes in its place.
    directory.opaque = before !== undefined && typeOf(before) === WHITEOUT;
    if (before !== undefined) this.#lastPath = undefined;
    parent.entries.set(name, directory);
    return directory;
  }

  #directory(path: readonly string[], member: string): Directory {
    const directory = this.#walk(path, member, true);
    if (directory === undefined) throw invalid(`"${textOf(member)}": not a directory`);
    return directory;
  }

  #walk(path: readonly string[], member: string, create: boolean): Directory | undefined {
    const ahead = path.toReversed();
    let current = this.root;
    let symlinks = 0;
    let steps = 0;
    for (let name = ahead.pop(); name !== undefined; name = ahead.pop()) {
      if (name === '' || name === '.') continue;
      if (++steps > 8 * this.#limits.depth)
        throw invalid(`"${textOf(member)}": too many levels of symbolic links`);
      if (name === '..') {
        current = current.parent;
        continue;
      }
      const node = current.entries.get(name);
      if (node instanceof Directory) {
        current = node;
      } else if (node === undefined || typeOf(node) === WHITEOUT) {
        if (!create) return undefined;
        this.#checkName(name);
        current = this.makeDirectory(current, name);
      } else {
        const target = this.#symlinks.get(nidOf(node));
        if (target === undefined) throw invalid(`"${textOf(member)}": "${textOf(name)}" is not a directory`);
        if (++symlinks > MAX_SYMLINKS)
          throw invalid(`"${textOf(member)}": too many levels of symbolic links`);
        if (target.startsWith('/')) current = this.root;
        ahead.push(...target.split('/').toReversed());
      }
    }
    return current;
  }

  #checkName(name: string): void {
    if (name.length > this.#limits.nameLength) throw invalid(`file name too long: "${textOf(name)}"`);
    if (name.includes('\0')) throw invalid('archive/tar: invalid tar header: NUL in a name');
  }
}
