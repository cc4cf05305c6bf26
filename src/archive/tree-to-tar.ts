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
  return writeTar(owned(walk(root, options, false), options));
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
    if (!found.stats.isDirectory()) yield* member(as, found, new Map());
    else yield* walk(found.path, { as }, false);
  } finally {
    if (found.fd !== undefined) closeSync(found.fd);
  }
}

/**
 * The layer tar of an overlay's upper directory: as `treeToTar`, with overlayfs's whiteouts (a character device 0/0) and
 * opaque directories in the form of the OCI image specification.
 */
export function diffToTar(upper: string, options: TreeToTarOptions = {}): Readable {
  return writeTar(owned(walk(upper, options, true), options));
}

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
  isDiff: boolean,
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
      yield* directory(prefix.slice(0, -1), { path, stats: lstatSync(path, { bigint: true }) }, isDiff);
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
        yield* directory(name, found, isDiff);
        continue;
      }
      try {
        yield* isDiff && isWhiteout(found.stats)
          ? [whiteout(`${level.prefix}${WHITEOUT_PREFIX}${base}`, found.stats)]
          : member(name, found, firstNames);
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

function* directory(name: string, { path, stats }: Found, isDiff: boolean): Generator<NewTarMember> {
  const attributes = attributesOf(stats);
  yield { entry: { ...attributes, ...xattrsOf(path), name: `${name}/`, type: 'directory' } };
  if (!isDiff || getXattr(path, OPAQUE_XATTR)?.toString() !== 'y') return;
  yield { entry: { ...attributes, name: `${name}/${OPAQUE_WHITEOUT}` } };
}

function isWhiteout(stats: BigIntStats): boolean {
  return stats.isCharacterDevice() && stats.rdev === 0n;
}

function whiteout(name: string, stats: BigIntStats): NewTarMember {
  return { entry: { ...attributesOf(stats), name, mode: 0o600 } };
}

function* member(
  name: string,
  { path, stats, fd }: Found,
  firstNames: Map<string, string>,
): Generator<NewTarMember> {
  if (stats.isSocket()) return;
  const attributes = { ...attributesOf(stats), name };
  if (stats.nlink > 1n) {
    const identity = `${stats.dev}:${stats.ino}`;
    const linkName = firstNames.get(identity);
    if (linkName !== undefined) {
      yield { entry: { ...attributes, type: 'hardlink', linkName } };
      return;
    }
    firstNames.set(identity, name);
  }
  const entry = { ...attributes, ...xattrsOf(path) };
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

function attributesOf(stats: BigIntStats): { mode: number; uid: number; gid: number; mtime: number } {
  return {
    mode: Number(stats.mode & 0o7777n),
    uid: Number(stats.uid),
    gid: Number(stats.gid),
    mtime: Math.floor(Number(stats.mtimeNs / 1_000_000n) / 1000),
  };
}

/** What belongs to this host's mounts and policies, not to the files. */
export const LOCAL_XATTRS = /^(trusted\.overlay\.|security\.(selinux|ima|evm)$)/;

function xattrsOf(path: Buffer): { xattrs?: Map<string, Buffer> } {
  let xattrs: Map<string, Buffer> | undefined;
  for (const key of listXattrs(path)) {
    if (LOCAL_XATTRS.test(key)) continue;
    const found = getXattr(path, key);
    const value = key === 'security.capability' && found !== undefined ? anyonesCapabilities(found) : found;
    if (value !== undefined) (xattrs ??= new Map()).set(key, value);
  }
  return xattrs === undefined ? {} : { xattrs };
}

/* linux/capability.h: `struct vfs_ns_cap_data`, 24 bytes, names the root it is for; `struct vfs_cap_data`, 20 bytes, none. */
const VFS_CAP_REVISION_2 = 0x02;
const VFS_CAP_REVISION_3 = 0x03;
const VFS_CAP_SIZE_2 = 20;

/** A file's capabilities for the root of whoever unpacks it: a number from the user namespace here means nothing elsewhere. */
export function anyonesCapabilities(value: Buffer): Buffer {
  if (value[3] !== VFS_CAP_REVISION_3) return value;
  const kept = Buffer.from(value.subarray(0, VFS_CAP_SIZE_2));
  kept[3] = VFS_CAP_REVISION_2;
  return kept;
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
