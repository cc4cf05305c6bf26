import {
  type BigIntStats,
  closeSync,
  constants,
  lstatSync,
  openSync,
  readdirSync,
  readlinkSync,
  readSync,
} from 'node:fs';
import type { Readable } from 'node:stream';
import { errnoCode } from '#/base/errors.ts';
import { deviceNumbers } from '#/host/files.ts';
import { getXattr, listXattrs } from '#/host/xattr.ts';
import type { Owner } from '#/oci/id-mapping.ts';
import { anyonesCapabilities, CAPABILITY } from './file-capabilities.ts';
import { OPAQUE_WHITEOUT, OPAQUE_XATTR, WHITEOUT_PREFIX } from './member-path.ts';
import { pathOf } from './tar-entry.ts';
import { type NewTarMember, writeTar } from './tar-writer.ts';

export interface TreeToTarOptions {
  /** Members to leave out, with all below them: called with the path from the root, a byte string without leading `/`. */
  exclude?: (path: string) => boolean;
  /** Makes the root the first member, of this name, and puts it before all others. A byte string. */
  as?: string;
  /** Whom the archive is to name for the owner of a file; itself without it. */
  ownerOf?: (owner: Owner) => Owner;
}

/**
 * The tar of a tree: what `docker export` sends. Names are relative to `root`, which itself is no member, and sorted; hard
 * links within the tree are kept, sockets left out, times in whole seconds, as Docker's are. Nothing is followed out of the
 * tree, whatever a container does to it meanwhile.
 */
export function treeToTar(root: string, options: TreeToTarOptions = {}): Readable {
  return writeTar(owned(walk(root, options, 'tree'), options));
}

/** The tar of what has this name in an open directory: a tree, or one member. `as` is its name there, a byte string. */
export function memberToTar(
  directory: number,
  base: string,
  as: string,
  options: Pick<TreeToTarOptions, 'ownerOf'> = {},
): Readable {
  return writeTar(owned(single(directory, base, as), options));
}

async function* owned(
  members: AsyncGenerator<NewTarMember>,
  { ownerOf }: Pick<TreeToTarOptions, 'ownerOf'>,
): AsyncGenerator<NewTarMember> {
  for await (const member of members) {
    const { uid = 0, gid = 0 } = member.entry;
    yield ownerOf === undefined
      ? member
      : { ...member, entry: { ...member.entry, ...ownerOf({ uid, gid }) } };
  }
}

async function* single(directory: number, base: string, as: string): AsyncGenerator<NewTarMember> {
  const found = open(directory, base);
  if (found === undefined) return;
  try {
    if (!found.stats.isDirectory()) yield* member(as, found, new Map(), 'tree');
    else yield* walk(found.path, { as }, 'tree');
  } finally {
    if (found.fd !== undefined) closeSync(found.fd);
  }
}

/**
 * The layer tar of an overlay's upper directory: as `treeToTar`, with overlayfs's whiteouts (a character device 0/0) and
 * opaque directories in the form of the OCI image specification.
 */
export function diffToTar(upper: string, options: TreeToTarOptions = {}): Readable {
  return writeTar(owned(walk(upper, options, 'diff'), options));
}

/**
 * The tar of an overlay's upper directory for another one: overlayfs's whiteouts and opaque directories as they are on the disk, times to the
 * nanosecond, and the directory itself as the first member.
 */
export function upperToTar(upper: string, options: Pick<TreeToTarOptions, 'ownerOf'> = {}): Readable {
  return writeTar(owned(walk(upper, { as: '.' }, 'upper'), options));
}

/** What the tar of a tree is to be: of its files, of an upper directory as a layer, or of one as it is. */
type Form = 'tree' | 'diff' | 'upper';

/** A directory on the way: held open, so that its path cannot be turned into another one. */
interface Level {
  fd: number;
  /** Byte string ending with `/`, or empty. */
  prefix: string;
  names: string[];
}

async function* walk(
  root: string | Buffer,
  options: TreeToTarOptions,
  form: Form,
): AsyncGenerator<NewTarMember> {
  const firstNames = new Map<string, string>();
  const levels: Level[] = [];
  try {
    const top = openSync(root, constants.O_RDONLY | constants.O_DIRECTORY);
    const { as } = options;
    const prefix = as === undefined ? '' : as.endsWith('/') ? as : `${as}/`;
    levels.push(enter(top, prefix));
    if (as !== undefined) {
      const path = Buffer.from(`/proc/self/fd/${top}/.`);
      yield* directory(prefix.slice(0, -1), { path, stats: lstatSync(path, { bigint: true }) }, form);
    }
    for (let level = levels.at(-1); level !== undefined; level = levels.at(-1)) {
      const base = level.names.pop();
      if (base === undefined) {
        levels.pop();
        closeSync(level.fd);
        continue;
      }
      const name = level.prefix + base;
      if (options.exclude?.(name.slice(prefix.length)) === true) continue;
      const found = open(level.fd, base);
      if (found === undefined) continue;
      if (found.stats.isDirectory() && found.fd !== undefined) {
        levels.push(enter(found.fd, `${name}/`));
        yield* directory(name, found, form);
        continue;
      }
      try {
        yield* form === 'diff' && isWhiteout(found.stats)
          ? [whiteout(`${level.prefix}${WHITEOUT_PREFIX}${base}`, found.stats)]
          : member(name, found, firstNames, form);
      } finally {
        if (found.fd !== undefined) closeSync(found.fd);
      }
    }
  } finally {
    for (const level of levels) closeSync(level.fd);
  }
}

interface Found {
  /** Leads to this very file through its open directory. */
  path: Buffer;
  stats: BigIntStats;
  /** Open for directories and files. */
  fd?: number;
}

/** `undefined` when it has gone meanwhile. */
function open(directory: number, base: string): Found | undefined {
  const path = Buffer.concat([Buffer.from(`/proc/self/fd/${directory}/`), pathOf(base)]);
  try {
    const stats = lstatSync(path, { bigint: true });
    if (!stats.isFile() && !stats.isDirectory()) return { path, stats };
    const kind = stats.isDirectory() ? constants.O_DIRECTORY : constants.O_NONBLOCK;
    return { path, stats, fd: openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | kind) };
  } catch (error) {
    const code = errnoCode(error);
    // Gone, or become something else since it was looked at.
    if (code === 'ENOENT' || code === 'ELOOP' || code === 'ENOTDIR' || code === 'ENXIO') return undefined;
    throw error;
  }
}

function enter(fd: number, prefix: string): Level {
  const names = readdirSync(`/proc/self/fd/${fd}`, { encoding: 'latin1' });
  return { fd, prefix, names: names.sort().reverse() };
}

function* directory(name: string, { path, stats }: Found, form: Form): Generator<NewTarMember> {
  const attributes = attributesOf(stats, form);
  yield { entry: { ...attributes, ...xattrsOf(path, form), name: `${name}/`, type: 'directory' } };
  if (form !== 'diff' || getXattr(path, OPAQUE_XATTR)?.toString() !== 'y') return;
  yield { entry: { ...attributes, name: `${name}/${OPAQUE_WHITEOUT}` } };
}

function isWhiteout(stats: BigIntStats): boolean {
  return stats.isCharacterDevice() && stats.rdev === 0n;
}

function whiteout(name: string, stats: BigIntStats): NewTarMember {
  return { entry: { ...attributesOf(stats, 'diff'), name, mode: 0o600 } };
}

function* member(
  name: string,
  { path, stats, fd }: Found,
  firstNames: Map<string, string>,
  form: Form,
): Generator<NewTarMember> {
  if (stats.isSocket()) return;
  const attributes = { ...attributesOf(stats, form), name };
  if (stats.nlink > 1n) {
    const identity = `${stats.dev}:${stats.ino}`;
    const linkName = firstNames.get(identity);
    if (linkName !== undefined) {
      yield { entry: { ...attributes, type: 'hardlink', linkName } };
      return;
    }
    firstNames.set(identity, name);
  }
  const entry = { ...attributes, ...xattrsOf(path, form) };
  if (fd !== undefined) {
    const size = Number(stats.size);
    yield { entry: { ...entry, type: 'file', size }, data: contents(fd, size) };
  } else if (stats.isSymbolicLink()) {
    yield { entry: { ...entry, type: 'symlink', linkName: readlinkSync(path, { encoding: 'latin1' }) } };
  } else if (stats.isFIFO()) {
    yield { entry: { ...entry, type: 'fifo' } };
  } else if (stats.isCharacterDevice() || stats.isBlockDevice()) {
    const type = stats.isBlockDevice() ? 'block' : 'character';
    yield { entry: { ...entry, type, ...deviceNumbers(stats.rdev) } };
  }
}

const SECOND = 1_000_000_000n;

function attributesOf(
  stats: BigIntStats,
  form: Form,
): { mode: number; uid: number; gid: number; mtime: number; mtimeNanoseconds?: number } {
  const { mtimeNs } = stats;
  return {
    mode: Number(stats.mode & 0o7777n),
    uid: Number(stats.uid),
    gid: Number(stats.gid),
    mtime: Math.floor(Number(mtimeNs / 1_000_000n) / 1000),
    ...(form === 'upper' ? { mtimeNanoseconds: Number(((mtimeNs % SECOND) + SECOND) % SECOND) } : {}),
  };
}

/** What belongs to this host's mounts and policies, not to the files. */
const LOCAL_XATTRS = /^(trusted\.overlay\.|security\.(selinux|ima|evm)$)/;

/** Whether an extended attribute is a file's own: of an upper directory, with what makes a directory opaque. */
export function isOwnXattr(key: string, ofUpper: boolean): boolean {
  return (ofUpper && key === OPAQUE_XATTR) || !LOCAL_XATTRS.test(key);
}

function xattrsOf(path: Buffer, form: Form): { xattrs?: Map<string, Buffer> } {
  let xattrs: Map<string, Buffer> | undefined;
  for (const key of listXattrs(path)) {
    if (!isOwnXattr(key, form === 'upper')) continue;
    const found = getXattr(path, key);
    const value = key === CAPABILITY && found !== undefined ? anyonesCapabilities(found) : found;
    if (value !== undefined) (xattrs ??= new Map()).set(key, value);
  }
  return xattrs === undefined ? {} : { xattrs };
}

const PIECE = 256 << 10;

/** Exactly `size` bytes: a file that shrinks meanwhile is filled with zeros, as GNU tar does, one that grows is cut. */
async function* contents(fd: number, size: number): AsyncGenerator<Buffer> {
  let left = size;
  while (left > 0) {
    const buffer = Buffer.allocUnsafe(Math.min(PIECE, left));
    const length = readSync(fd, buffer, 0, buffer.length, null);
    const piece = length === 0 ? buffer.fill(0) : buffer.subarray(0, length);
    left -= piece.length;
    yield piece;
  }
}
