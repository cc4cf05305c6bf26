import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs';
import { errnoCode, invalid } from '#/base/errors.ts';
import { checked, libcFunction } from './libc.ts';

/** The same number on every architecture that came to Linux with it or before. */
const SYS_OPENAT2 = 437;
/** linux/openat2.h: links and `..` are resolved as if the directory were the root. */
const RESOLVE_IN_ROOT = 0x10;
/** Links are followed as long as they, and `..`, stay below the directory; those that only the kernel knows (/proc) never. */
const RESOLVE_BENEATH = 0x08;
const RESOLVE_NO_MAGICLINKS = 0x02;
const O_PATH = 0o10000000;

const openat2 = libcFunction('syscall', 'long', ['long', 'long', 'str', 'void *', 'size_t']);

/**
 * The regular file at `path` when `root` is `/`, whoever changes the tree meanwhile: the kernel itself keeps the look-up inside.
 * Undefined when there is none, or something else. `invalid` when it is over `limit` bytes.
 */
export function readRootedFile(root: string, path: string, limit: number): Buffer | undefined {
  const directory = openSync(root, O_PATH | constants.O_DIRECTORY);
  try {
    const fd = openRooted(directory, path);
    if (fd === undefined) return undefined;
    try {
      const stat = fstatSync(fd);
      if (!stat.isFile()) return undefined;
      if (stat.size > limit) throw invalid(`"${path}" is larger than ${limit} bytes`);
      return readFileSync(fd);
    } finally {
      closeSync(fd);
    }
  } finally {
    closeSync(directory);
  }
}

/**
 * Opens `path` as if the directory were `/`: neither links nor `..` lead out of it. With `O_NOFOLLOW` among the flags a link in the last
 * place is opened itself (with O_PATH) or refused. Throws the system's error.
 */
export function openInRoot(directory: number, path: string, flags: number = constants.O_RDONLY): number {
  return resolve(directory, path, flags, RESOLVE_IN_ROOT);
}

/** Opens `path` below the directory; one that leads out, as an absolute link does, is refused with EXDEV. */
export function openBeneath(directory: number, path: string, flags: number = constants.O_RDONLY): number {
  return resolve(directory, path, flags, RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS);
}

/** A host that renames without a pause must not hold us up for ever. */
const MOST_TRIES = 1000;

function resolve(directory: number, path: string, flags: number, how: number): number {
  const open = Buffer.alloc(24);
  // Neither a fifo nor a terminal of the tree's may hold us up or become ours; O_PATH, which opens neither, allows no such flags.
  const careful = (flags & O_PATH) === 0 ? constants.O_NONBLOCK | constants.O_NOCTTY : 0;
  open.writeBigUInt64LE(BigInt(flags | careful), 0);
  open.writeBigUInt64LE(BigInt(how), 16);
  // A mount or a rename anywhere on the host while a `..` is walked makes the kernel say EAGAIN: openat2(2) leaves it to us to ask again.
  for (let tries = 1; ; tries++) {
    try {
      return checked(openat2(SYS_OPENAT2, directory, path, open, open.length), 'openat2', path);
    } catch (error) {
      if (errnoCode(error) !== 'EAGAIN' || tries === MOST_TRIES) throw error;
    }
  }
}

function openRooted(directory: number, path: string): number | undefined {
  try {
    return openInRoot(directory, path);
  } catch (error) {
    const code = errnoCode(error);
    if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'ELOOP' || code === 'ENXIO') return undefined;
    throw error;
  }
}
