import path from 'node:path';
import type { Readable } from 'node:stream';
import { openCompressed } from '#/archive/compression.ts';
import { byteString, textOf } from '#/archive/tar-entry.ts';
import { errnoCode, invalid, messageOf } from '#/base/errors.ts';
import { formatNanos } from '#/base/time.ts';
import type { Owner } from '#/oci/id-mapping.ts';
import type { GuestEntry, GuestFiles, TreeOptions } from '#/runtime/runtime.ts';
import { resolveUser } from '../start/user.ts';
import { guestEntries, guestTar } from './guest-tar.ts';
import { goFileMode, linkWalk, NO_LINK, type PathStat } from './path-stat.ts';

const S_IFMT = 0o170000;
const S_IFDIR = 0o040000;
const S_IFLNK = 0o120000;
const SMALL_FILE = 10 << 20;
const ENTRY_ALONE: TreeOptions = { whole: false, bare: true };

/** What is at a path; a link in the last place is not followed, unless a slash follows it. */
export async function guestStat(files: GuestFiles, absolute: string, absent: () => Error): Promise<PathStat> {
  return await statOf(files, absolute, await entryAt(files, absolute, absent));
}

async function statOf(files: GuestFiles, absolute: string, entry: GuestEntry): Promise<PathStat> {
  return {
    name: path.posix.basename(absolute) || '/',
    size: entry.size,
    mode: goFileMode(entry.mode),
    mtime: formatNanos(BigInt(entry.mtime) * 1_000_000_000n + BigInt(entry.mtimeNanoseconds)),
    linkTarget: isLink(entry) ? await followGuestLinks(files, absolute) : '',
  };
}

/**
 * What is at a path, and it as a tar, its members named from the path's last component on: both of what is there at one moment. `exclude` is
 * called with a directory's path and a member's below it.
 */
export async function guestRead(
  files: GuestFiles,
  absolute: string,
  absent: () => Error,
  exclude: (directory: string) => (member: string) => boolean,
): Promise<{ stat: PathStat; tar: Readable }> {
  const place = await followGuestLinks(files, path.posix.dirname(absolute));
  const directory = path.posix.join(place, path.posix.basename(absolute));
  const whole = files.tree(absolute, { whole: true, follow: endsInDirectory(absolute) });
  const tree = whole[Symbol.asyncIterator]();
  try {
    const first = found(await firstOf(tree, absolute), absolute, absent);
    const stat = await statOf(files, absolute, first);
    return {
      stat,
      tar: guestTar(startingWith(first, tree), { as: byteString(stat.name), exclude: exclude(directory) }),
    };
  } catch (error) {
    await tree.return?.();
    throw error;
  }
}

async function* startingWith(
  first: GuestEntry,
  rest: AsyncIterator<GuestEntry>,
): AsyncGenerator<GuestEntry, undefined> {
  try {
    yield first;
    for (let next = await rest.next(); next.done !== true; next = await rest.next()) yield next.value;
  } finally {
    await rest.return?.();
  }
}

/** Unpacks a tar in a directory. */
export async function guestWrite(
  files: GuestFiles,
  target: string,
  tar: Readable,
  { keepKind, owner, absent }: { keepKind: boolean; owner: Owner | undefined; absent: () => Error },
): Promise<void> {
  const entry = await entryAt(files, target, absent);
  if ((entry.mode & S_IFMT) !== S_IFDIR) throw invalid('extraction point is not a directory');
  const { stream } = await openCompressed(tar);
  try {
    await files.plant(target, guestEntries(stream, { owner }), { keepKind });
  } catch (error) {
    throw keptKind(error, target) ?? error;
  }
}

/** The guest's words for what is not replaced by something of another kind, in Docker's. */
function keptKind(error: unknown, target: string): Error | undefined {
  const [, there, name = '', kind] =
    /^cannot overwrite (\S+) `(.*)` with (\S+)$/.exec(
      errnoCode(error) === 'EEXIST' ? messageOf(error) : '',
    ) ?? [];
  if (there === undefined) return undefined;
  return invalid(`cannot overwrite ${there} "${path.posix.join(target, name)}" with ${kind} "${target}"`, {
    cause: error,
  });
}

/** The path without links that this one comes to; what does not exist is taken as a plain name. */
export async function followGuestLinks(files: GuestFiles, absolute: string): Promise<string> {
  const walk = linkWalk(absolute);
  let step = walk.next();
  while (step.done !== true) step = walk.next(await guestLink(files, step.value));
  return step.value;
}

async function guestLink(files: GuestFiles, place: string): Promise<string | undefined> {
  try {
    // One that cannot be read (/proc/self is only for who has a number there) is taken as no link.
    for await (const { link } of files.tree(place, ENTRY_ALONE)) return link ? textOf(link) : undefined;
  } catch (error) {
    if (!NO_LINK.has(errnoCode(error) ?? '')) throw error;
  }
  return undefined;
}

async function entryAt(files: GuestFiles, absolute: string, absent: () => Error): Promise<GuestEntry> {
  const tree = files.tree(absolute, { ...ENTRY_ALONE, follow: endsInDirectory(absolute) });
  const entries = tree[Symbol.asyncIterator]();
  try {
    return found(await firstOf(entries, absolute), absolute, absent);
  } finally {
    await entries.return?.();
  }
}

function endsInDirectory(absolute: string): boolean {
  return /\/\.?$/.test(absolute);
}

function found(entry: GuestEntry | undefined, absolute: string, absent: () => Error): GuestEntry {
  if (entry === undefined) throw absent();
  if (endsInDirectory(absolute) && (entry.mode & S_IFMT) !== S_IFDIR)
    throw invalid(`lstat ${absolute}: not a directory`);
  return entry;
}

/** Undefined when nothing is there. */
async function firstOf(tree: AsyncIterator<GuestEntry>, absolute: string): Promise<GuestEntry | undefined> {
  try {
    const first = await tree.next();
    return first.done === true ? undefined : first.value;
  } catch (error) {
    const code = errnoCode(error);
    if (code === 'ENOENT') return undefined;
    if (code === 'ENOTDIR') throw invalid(`lstat ${absolute}: not a directory`);
    if (code === 'ELOOP') throw invalid(`lstat ${absolute}: too many levels of symbolic links`);
    throw error;
  }
}

/** What `user[:group]` is in the container's own passwd and group files. */
export async function guestUser(files: GuestFiles, spec: string): Promise<Owner> {
  const [passwd, group] = await Promise.all([
    smallFile(files, '/etc/passwd'),
    smallFile(files, '/etc/group'),
  ]);
  return resolveUser(spec, [], passwd, group);
}

/** A file's text; nothing of what is not there, is no file, or too large to be read. */
async function smallFile(files: GuestFiles, absolute: string): Promise<string> {
  try {
    for await (const { data, size } of files.tree(absolute, { whole: false, follow: true })) {
      const parts: Buffer[] = [];
      if (size <= SMALL_FILE) for await (const piece of data ?? []) parts.push(piece);
      return Buffer.concat(parts).toString('utf8');
    }
  } catch (error) {
    if (errnoCode(error) !== 'ENOENT') throw error;
  }
  return '';
}

function isLink({ mode }: GuestEntry): boolean {
  return (mode & S_IFMT) === S_IFLNK;
}
