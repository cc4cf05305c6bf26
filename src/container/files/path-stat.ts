import { type BigIntStats, closeSync, lstatSync, readlinkSync } from 'node:fs';
import path from 'node:path';
import { errnoCode, invalid } from '#/base/errors.ts';
import { formatNanos } from '#/base/time.ts';
import { openInRoot } from '#/host/rooted-file.ts';

const O_PATH = 0o10000000;
/** What is not there, or cannot be, is no link. */
export const NO_LINK: ReadonlySet<string> = new Set(['ENOENT', 'ENOTDIR', 'ELOOP', 'ENAMETOOLONG']);
/** The kernel's MAXSYMLINKS. */
const MAX_LINKS = 40;

/** What `X-Docker-Container-Path-Stat` tells of a path; field names are the header's. */
export interface PathStat {
  name: string;
  size: number;
  /** Go's os.FileMode. */
  mode: number;
  /** RFC 3339. */
  mtime: string;
  /** Where a symlink leads to in the end, as an absolute path in the container; else empty. */
  linkTarget: string;
}

// Bits of Go's os.FileMode (its package io/fs).
const GO_DIRECTORY = 0x80000000;
const GO_SYMLINK = 0x08000000;
const GO_DEVICE = 0x04000000;
const GO_FIFO = 0x02000000;
const GO_SOCKET = 0x01000000;
const GO_SETUID = 0x00800000;
const GO_SETGID = 0x00400000;
const GO_CHARACTER = 0x00200000;
const GO_STICKY = 0x00100000;

export function pathStat(root: number, absolute: string, stats: BigIntStats): PathStat {
  return {
    name: path.posix.basename(absolute) || '/',
    size: Number(stats.size),
    mode: goFileMode(Number(stats.mode)),
    mtime: formatNanos(stats.mtimeNs),
    linkTarget: stats.isSymbolicLink() ? followLinks(root, absolute) : '',
  };
}

/** Kinds of files in a mode (inode(7)), and what Go says for them. */
const GO_KINDS: Record<number, number> = {
  0o040000: GO_DIRECTORY,
  0o120000: GO_SYMLINK,
  0o010000: GO_FIFO,
  0o140000: GO_SOCKET,
  0o060000: GO_DEVICE,
  0o020000: GO_DEVICE + GO_CHARACTER,
};
const S_IFMT = 0o170000;

export function goFileMode(mode: number): number {
  let bits = (mode & 0o777) + (GO_KINDS[mode & S_IFMT] ?? 0);
  if ((mode & 0o4000) !== 0) bits += GO_SETUID;
  if ((mode & 0o2000) !== 0) bits += GO_SETGID;
  if ((mode & 0o1000) !== 0) bits += GO_STICKY;
  return bits;
}

/** The path without links that this one comes to below the open root; what does not exist is taken as a plain name. */
export function followLinks(root: number, absolute: string): string {
  const walk = linkWalk(absolute);
  let step = walk.next();
  while (step.done !== true) step = walk.next(linkIn(root, step.value));
  return step.value;
}

/**
 * The way along a path and the links on it, whoever can look at them: yields each place in turn, takes where the link leads that is
 * there (nothing of what is no link), and returns the path without links. Throws `invalid` at too many of them.
 */
export function* linkWalk(absolute: string): Generator<string, string, string | undefined> {
  const ahead = absolute.split('/').toReversed();
  let done: string[] = [];
  let links = 0;
  for (let name = ahead.pop(); name !== undefined; name = ahead.pop()) {
    if (name === '' || name === '.') continue;
    if (name === '..') {
      done.pop();
      continue;
    }
    const target = yield `/${[...done, name].join('/')}`;
    if (target === undefined) {
      done.push(name);
      continue;
    }
    if (++links > MAX_LINKS) throw invalid(`too many levels of symbolic links in "${absolute}"`);
    if (target.startsWith('/')) done = [];
    ahead.push(...target.split('/').toReversed());
  }
  return `/${done.join('/')}`;
}

function linkIn(root: number, place: string): string | undefined {
  let fd: number | undefined;
  try {
    fd = openInRoot(root, path.posix.dirname(place), O_PATH);
    const file = `/proc/self/fd/${fd}/${path.posix.basename(place)}`;
    return lstatSync(file).isSymbolicLink() ? readlinkSync(file) : undefined;
  } catch (error) {
    const code = errnoCode(error);
    if (NO_LINK.has(code ?? '')) return undefined;
    throw error;
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}
