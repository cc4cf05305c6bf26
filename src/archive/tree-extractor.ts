import {
  chmodSync,
  closeSync,
  constants,
  fstatSync,
  ftruncateSync,
  lchownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmdirSync,
  type Stats,
  symlinkSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { errnoCode, invalid } from '#/base/errors.ts';
import { makeNode, S_IFBLK, S_IFCHR, S_IFIFO, setModifiedTime } from '#/host/files.ts';
import { isXattrUnsupported, setXattr } from '#/host/xattr.ts';
import type { Owner } from '#/oci/id-mapping.ts';
import { CAPABILITY, capabilitiesFor } from './file-capabilities.ts';
import { DEFAULT_LIMITS, type TarLimits } from './limits.ts';
import { isAufsMetadata, memberPath, OPAQUE_WHITEOUT, OPAQUE_XATTR, WHITEOUT_PREFIX } from './member-path.ts';
import { RootedDirectory } from './rooted-directory.ts';
import { pathOf, type TarEntry, textOf } from './tar-entry.ts';
import { type TarHandler, TarParser } from './tar-parser.ts';

export interface ExtractOptions {
  limits?: Partial<TarLimits>;
  /** Whiteouts become what overlayfs reads as such, instead of files of that name. */
  overlayWhiteouts?: boolean;
  /** A directory on the root's filesystem where replaced files go, instead of being deleted. */
  replaced?: string;
  /** Refuse to put a directory where something else is, and the other way round, as `docker cp` does. */
  keepKind?: boolean;
  /** The directory below the root where members go, whose own attributes stay. Links are followed from it as from the root. */
  at?: readonly string[];
  /** Whose everything becomes, whatever the tar says. */
  owner?: Owner;
  /** Whom a member becomes whose owner the tar says; itself without it. */
  ownerOf?: (owner: Owner) => Owner;
  /** Another name for a member; hard links' targets are renamed alike. */
  rename?: (name: string) => string;
  /** The root becomes what the tar's member for it says, as far as its attributes go. */
  withRoot?: boolean;
  /** What is all zeros is left a hole. */
  sparse?: boolean;
  /** Leave the members' extended attributes out. */
  withoutXattrs?: boolean;
  /** Called for data as it is written: at this offset of the file in hand, so many bytes. */
  onData?: (offset: number, length: number) => void;
  /** Called with each regular file's inode number, once it is written. */
  onFile?: (inode: number) => void;
}

/** O_PATH of the kernel's generic fcntl.h: a handle on the very file, for chmod through /proc/self/fd. */
const O_PATH = 0o10000000;

const ZEROS = Buffer.alloc(64 << 10);

interface OpenFile {
  entry: TarEntry;
  fd: number;
  path: Buffer;
  range: number;
  position: number;
}

/**
 * Unpacks a tar into a directory, with owners, modes, times, xattrs and devices, as a process would whose root the directory
 * is: nothing outside is touched, whatever the tar says and whoever changes the tree meanwhile. Members replace what has
 * their name, directories merge; the root's own attributes stay. Synchronous.
 */
export class TreeExtractor implements TarHandler, Disposable {
  readonly #root: RootedDirectory;
  readonly #options: ExtractOptions;
  readonly #limits: TarLimits;
  readonly #directories: TarEntry[] = [];
  #file: OpenFile | undefined;
  #replaced = 0;
  opaqueRoot = false;

  constructor(root: string, options: ExtractOptions = {}) {
    this.#options = options;
    this.#limits = { ...DEFAULT_LIMITS, ...options.limits };
    this.#root = new RootedDirectory(root, {
      create: (path) => this.#makeParent(path),
      isMissing: (path) => this.#isWhiteout(lstatSync(path)),
    });
  }

  /** Whether the data that comes goes to a file. */
  get isWriting(): boolean {
    return this.#file !== undefined;
  }

  entry(written: TarEntry): void {
    const entry = this.#adapted(written);
    const components = this.#placeOf(entry.name);
    const isTop = components.length === (this.#options.at?.length ?? 0);
    const name = components.pop();
    if (name === undefined || isTop) {
      if (entry.type === 'directory') {
        if (this.#options.withRoot === true) this.#adopt(entry);
        return;
      }
      throw invalid(`"${textOf(entry.name)}" is the root directory and nothing else can be`);
    }
    for (const component of [...components, name]) this.#checkName(component);
    if (components.length >= this.#limits.depth) {
      throw invalid(`file name too long: "${textOf(entry.name)}" is too deep`);
    }
    if (this.#options.overlayWhiteouts === true && isAufsMetadata([...components, name])) return;
    if (entry.type === 'hardlink') return this.#makeHardLink(entry, components, name);
    const parent = this.#parent(entry, components);
    if (this.#options.overlayWhiteouts === true && name.startsWith(WHITEOUT_PREFIX)) {
      return this.#makeWhiteout(parent, name, components.length === 0);
    }
    this.#make(entry, RootedDirectory.at(parent, name));
  }

  data(buffer: Buffer, start: number, end: number): void {
    const file = this.#file;
    if (file === undefined) return;
    let at = start;
    while (at < end) {
      const range = file.entry.sparse?.[file.range];
      const rangeEnd = range === undefined ? Number.POSITIVE_INFINITY : range.offset + range.length;
      if (range !== undefined) file.position = Math.max(file.position, range.offset);
      const length = Math.min(end - at, rangeEnd - file.position);
      const written = this.#write(file, buffer, at, length);
      this.#options.onData?.(file.position, written);
      at += written;
      file.position += written;
      if (file.position === rangeEnd) file.range++;
    }
  }

  fileEnd(): void {
    const file = this.#file;
    if (file === undefined) return;
    this.#file = undefined;
    try {
      if (file.entry.sparse !== undefined || this.#options.sparse === true)
        ftruncateSync(file.fd, file.entry.size);
      this.#options.onFile?.(fstatSync(file.fd).ino);
    } finally {
      closeSync(file.fd);
    }
    setAttributes(file.path, file.entry);
  }

  /** Sets what the directories' own members would have changed again. To be called at the end of the tar. */
  finish(): void {
    for (const entry of this.#directories) {
      const components = this.#placeOf(entry.name);
      const name = components.pop() ?? '.';
      const parent = this.#root.walk(components, false);
      if (parent === undefined) continue;
      const path = RootedDirectory.at(parent, name);
      if (statOf(path)?.isDirectory() === true) setModifiedTime(path, entry.mtime, entry.mtimeNanoseconds);
    }
  }

  [Symbol.dispose](): void {
    if (this.#file !== undefined) closeSync(this.#file.fd);
    this.#file = undefined;
    this.#root[Symbol.dispose]();
  }

  #write(file: OpenFile, buffer: Buffer, at: number, length: number): number {
    if (this.#options.sparse !== true) return writeSync(file.fd, buffer, at, length, file.position);
    const part = Math.min(length, ZEROS.length);
    if (buffer.compare(ZEROS, 0, part, at, at + part) === 0) return part;
    return writeSync(file.fd, buffer, at, part, file.position);
  }

  #adopt(root: TarEntry): void {
    const fd = this.#root.walk([], false);
    if (fd === undefined) return;
    setAttributes(RootedDirectory.at(fd, '.'), root);
    this.#directories.push({ ...root, xattrs: undefined });
  }

  #placeOf(name: string): string[] {
    return [...(this.#options.at ?? []), ...memberPath(name)];
  }

  #adapted(entry: TarEntry): TarEntry {
    const { ownerOf, rename, withoutXattrs } = this.#options;
    const owner = this.#options.owner ?? ownerOf?.(entry);
    if (owner === undefined && rename === undefined && withoutXattrs === undefined) return entry;
    const name = rename?.(entry.name) ?? entry.name;
    const xattrs = withoutXattrs === true ? undefined : this.#mapped(entry.xattrs);
    const linkName =
      entry.type === 'hardlink' ? (rename?.(entry.linkName) ?? entry.linkName) : entry.linkName;
    return { ...entry, ...owner, name, linkName, xattrs };
  }

  #mapped(xattrs: TarEntry['xattrs']): TarEntry['xattrs'] {
    const root = this.#options.ownerOf?.({ uid: 0, gid: 0 }).uid;
    const capabilities = xattrs?.get(CAPABILITY);
    if (root === undefined || capabilities === undefined) return xattrs;
    return new Map(xattrs).set(CAPABILITY, capabilitiesFor(root, capabilities));
  }

  #checkName(name: string): void {
    if (name.length > this.#limits.nameLength) throw invalid(`file name too long: "${textOf(name)}"`);
    if (name.includes('\0')) throw invalid('archive/tar: invalid tar header: NUL in a name');
  }

  #parent(entry: TarEntry, components: readonly string[]): number {
    const parent = this.#root.walk(components, true);
    if (parent === undefined) throw invalid(`"${textOf(entry.name)}": no such directory`);
    return parent;
  }

  #make(entry: TarEntry, path: Buffer): void {
    const before = statOf(path);
    const merges = before?.isDirectory() === true && entry.type === 'directory';
    if (before !== undefined && !merges) this.#discard(entry, path, before);
    switch (entry.type) {
      case 'file': {
        const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
        this.#file = { entry, fd: openSync(path, flags, 0o600), path, range: 0, position: 0 };
        return;
      }
      case 'directory':
        if (!merges) mkdirSync(path, 0o700);
        if (before !== undefined && this.#isWhiteout(before)) setXattr(path, OPAQUE_XATTR, Buffer.from('y'));
        this.#directories.push({ ...entry, xattrs: undefined });
        break;
      case 'symlink':
        symlinkSync(pathOf(entry.linkName), path);
        break;
      case 'character':
        makeNode(path, S_IFCHR, 0o600, entry);
        break;
      case 'block':
        makeNode(path, S_IFBLK, 0o600, entry);
        break;
      case 'fifo':
        makeNode(path, S_IFIFO, 0o600, entry);
    }
    setAttributes(path, entry);
  }

  /** A directory that the tar names no member for. */
  #makeParent(path: Buffer): void {
    const before = statOf(path);
    if (before !== undefined) unlinkSync(path);
    mkdirSync(path, 0o755);
    const owner = this.#options.ownerOf?.({ uid: 0, gid: 0 });
    if (owner !== undefined) lchownSync(path, owner.uid, owner.gid);
    setMode(path, 0o755);
    if (before !== undefined) setXattr(path, OPAQUE_XATTR, Buffer.from('y'));
  }

  #makeHardLink(entry: TarEntry, components: readonly string[], name: string): void {
    const failure = (why: string, cause?: unknown): Error =>
      invalid(`invalid hardlink "${textOf(entry.name)}" -> "${textOf(entry.linkName)}"${why}`, { cause });
    let targetPath: string[];
    let directory: number | undefined;
    try {
      targetPath = this.#placeOf(entry.linkName);
      directory = this.#root.walk(targetPath.slice(0, -1), false);
    } catch (error) {
      throw failure('', error);
    }
    const targetName = targetPath.at(-1);
    if (targetName === undefined || directory === undefined)
      throw failure(': the target is not in the archive');
    // Walking to the other name closes this directory: a handle of its own keeps it.
    const held = openSync(`/proc/self/fd/${directory}`, constants.O_RDONLY | constants.O_DIRECTORY);
    try {
      const target = RootedDirectory.at(held, targetName);
      const found = statOf(target);
      if (found === undefined || this.#isWhiteout(found)) throw failure(': the target is not in the archive');
      if (found.isDirectory()) throw failure(': the target is a directory');
      const path = RootedDirectory.at(this.#parent(entry, components), name);
      const before = statOf(path);
      if (before?.ino === found.ino && before.dev === found.dev) return;
      if (before !== undefined) this.#discard(entry, path, before);
      linkSync(target, path);
    } finally {
      closeSync(held);
    }
  }

  /** In a tar a whiteout counts for the layers below alone, wherever it stands: what the layer itself brings stays. */
  #makeWhiteout(parent: number, name: string, isAtRoot: boolean): void {
    if (name === OPAQUE_WHITEOUT) {
      if (isAtRoot) this.opaqueRoot = true;
      else setXattr(RootedDirectory.at(parent, '.'), OPAQUE_XATTR, Buffer.from('y'));
      return;
    }
    const hidden = name.slice(WHITEOUT_PREFIX.length);
    if (hidden === '' || hidden === '.' || hidden === '..') return;
    const path = RootedDirectory.at(parent, hidden);
    const before = statOf(path);
    if (before === undefined) makeNode(path, S_IFCHR, 0, { major: 0, minor: 0 });
    else if (before.isDirectory()) setXattr(path, OPAQUE_XATTR, Buffer.from('y'));
  }

  #isWhiteout(stats: Stats): boolean {
    return this.#options.overlayWhiteouts === true && stats.isCharacterDevice() && stats.rdev === 0;
  }

  #discard(entry: TarEntry, path: Buffer, before: Stats): void {
    if (this.#options.keepKind === true && before.isDirectory() !== (entry.type === 'directory')) {
      const [from, to] = before.isDirectory()
        ? ['directory', 'non-directory']
        : ['non-directory', 'directory'];
      const shown = (components: readonly string[]): string => `"/${components.map(textOf).join('/')}"`;
      throw invalid(
        `cannot overwrite ${from} ${shown(this.#placeOf(entry.name))} with ${to} ${shown(this.#options.at ?? [])}`,
      );
    }
    this.#root.forget();
    if (this.#options.replaced !== undefined) {
      renameSync(path, `${this.#options.replaced}/${this.#replaced++}`);
    } else if (before.isDirectory()) {
      removeTree(path);
    } else {
      unlinkSync(path);
    }
  }
}

function statOf(path: Buffer): Stats | undefined {
  try {
    return lstatSync(path);
  } catch (error) {
    if (errnoCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

function setAttributes(path: Buffer, entry: TarEntry): void {
  // The order matters: a new owner clears setuid bits and file capabilities.
  lchownSync(path, entry.uid, entry.gid);
  if (entry.type !== 'symlink') setMode(path, entry.mode);
  for (const [key, value] of entry.xattrs ?? []) {
    try {
      setXattr(path, key, value);
    } catch (error) {
      // As Docker: what this filesystem cannot keep, or not on this kind of file, is left out.
      const isUserOnSpecial = key.startsWith('user.') && errnoCode(error) === 'EPERM';
      if (!isUserOnSpecial && !isXattrUnsupported(error)) throw error;
    }
  }
  setModifiedTime(path, entry.mtime, entry.mtimeNanoseconds);
}

/** chmod that follows no symlink. */
function setMode(path: Buffer, mode: number): void {
  const handle = openSync(path, O_PATH | constants.O_NOFOLLOW);
  try {
    chmodSync(`/proc/self/fd/${handle}`, mode);
  } finally {
    closeSync(handle);
  }
}

function removeTree(path: Buffer): void {
  const fd = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  try {
    for (const name of readdirSync(`/proc/self/fd/${fd}`, { encoding: 'latin1' })) {
      const child = RootedDirectory.at(fd, name);
      if (lstatSync(child).isDirectory()) removeTree(child);
      else unlinkSync(child);
    }
  } finally {
    closeSync(fd);
  }
  rmdirSync(path);
}

/** Unpacks a whole stream; see TreeExtractor. What was unpacked before a failure stays. */
export async function extractTar(
  source: AsyncIterable<Buffer>,
  root: string,
  options: ExtractOptions = {},
): Promise<void> {
  using extractor = new TreeExtractor(root, options);
  const parser = new TarParser(extractor, options.limits);
  for await (const chunk of source) parser.push(chunk);
  parser.end();
  extractor.finish();
}
