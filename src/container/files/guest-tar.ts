import type { Readable } from 'node:stream';
import { memberPath, OPAQUE_WHITEOUT, OPAQUE_XATTR, WHITEOUT_PREFIX } from '#/archive/member-path.ts';
import { fillHoles } from '#/archive/holes.ts';
import { readTar } from '#/archive/tar-reader.ts';
import type { TarEntryType } from '#/archive/tar-entry.ts';
import { type NewTarEntry, type NewTarMember, writeTar } from '#/archive/tar-writer.ts';
import { anyonesCapabilities, CAPABILITY } from '#/archive/file-capabilities.ts';
import { isOwnXattr } from '#/archive/tree-to-tar.ts';
import type { Owner } from '#/oci/id-mapping.ts';
import type { GuestEntry } from '#/runtime/runtime.ts';

const KINDS: Record<TarEntryType, number> = {
  file: 0o100000,
  hardlink: 0o100000,
  symlink: 0o120000,
  character: 0o020000,
  block: 0o060000,
  directory: 0o040000,
  fifo: 0o010000,
};
const S_IFMT = 0o170000;

export interface GuestTarOptions {
  /** Makes the root the first member, of this name, and puts it before all others. A byte string. */
  as?: string;
  /** Members to leave out, with all below them: called with the path from the root. */
  exclude?: (path: string) => boolean;
  /** Whiteouts and opaque directories of an overlay's upper directory, in the form of the OCI image specification. */
  isDiff?: boolean;
  /** An upper directory for another one: as upperToTar() makes it. */
  isUpper?: boolean;
}

/** A guest's tree as a tar: as treeToTar() and diffToTar() make it of one on the host. */
export function guestTar(entries: AsyncIterable<GuestEntry>, options: GuestTarOptions = {}): Readable {
  return writeTar(members(entries, options));
}

async function* members(
  entries: AsyncIterable<GuestEntry>,
  { as, exclude, isDiff = false, isUpper = false }: GuestTarOptions,
): AsyncGenerator<NewTarMember> {
  const prefix = as === undefined ? '' : as.endsWith('/') ? as : `${as}/`;
  let left: string | undefined;
  for await (const entry of entries) {
    const { name } = entry;
    if (name !== '.' && left !== undefined && name.startsWith(left)) continue;
    if (name !== '.' && exclude?.(name) === true) {
      left = `${name}/`;
      continue;
    }
    yield* membersOf(entry, { as, prefix, isDiff, isUpper });
  }
}

function* membersOf(
  entry: GuestEntry,
  {
    as,
    prefix,
    isDiff,
    isUpper,
  }: { as: string | undefined; prefix: string; isDiff: boolean; isUpper: boolean },
): Generator<NewTarMember> {
  const { mode, uid, gid, mtime, mtimeNanoseconds } = entry;
  const type = kindOf(mode);
  if (type === undefined) return;
  const isRoot = entry.name === '.';
  if (isRoot && as === undefined) return;
  const attributes = { mode: mode & 0o7777, uid, gid, mtime, ...(isUpper ? { mtimeNanoseconds } : {}) };
  const xattrs = xattrsOf(entry, isUpper);
  const name = isRoot ? (type === 'directory' ? prefix : (as ?? '')) : prefix + entry.name;
  if (type === 'directory') {
    const directory = `${name.replace(/\/$/, '')}/`;
    yield { entry: { ...attributes, ...xattrs, name: directory, type } };
    if (isDiff && entry.xattrs?.get(OPAQUE_XATTR)?.toString() === 'y')
      yield { entry: { ...attributes, name: directory + OPAQUE_WHITEOUT } };
    return;
  }
  if (isDiff && type === 'character' && entry.major === 0 && entry.minor === 0) {
    const at = name.lastIndexOf('/') + 1;
    yield {
      entry: { ...attributes, name: name.slice(0, at) + WHITEOUT_PREFIX + name.slice(at), mode: 0o600 },
    };
    return;
  }
  if (entry.hardLink !== undefined) {
    yield { entry: { ...attributes, name, type: 'hardlink', linkName: prefix + entry.hardLink } };
    return;
  }
  const member: NewTarEntry = { ...attributes, ...xattrs, name, type };
  if (type === 'file') yield { entry: { ...member, size: entry.size }, data: entry.data ?? Buffer.alloc(0) };
  else if (type === 'symlink') yield { entry: { ...member, linkName: entry.link ?? '' } };
  else yield { entry: { ...member, major: entry.major, minor: entry.minor } };
}

/** Nothing for sockets, which no archive has. */
function kindOf(mode: number): TarEntryType | undefined {
  const kind = mode & S_IFMT;
  return (['file', 'symlink', 'character', 'block', 'directory', 'fifo'] as const).find(
    (type) => KINDS[type] === kind,
  );
}

function xattrsOf({ xattrs }: GuestEntry, isUpper: boolean): { xattrs?: Map<string, Buffer> } {
  const kept = [...(xattrs ?? [])]
    .filter(([key]) => isOwnXattr(key, isUpper))
    .map(([key, value]): [string, Buffer] => [key, key === CAPABILITY ? anyonesCapabilities(value) : value]);
  return kept.length === 0 ? {} : { xattrs: new Map(kept) };
}

/** A tar's members for a guest to make. `owner` is whose everything becomes, whatever the tar says; with the root's own attributes if wanted. */
export async function* guestEntries(
  tar: AsyncIterable<Buffer>,
  { owner, withRoot = false }: { owner?: Owner | undefined; withRoot?: boolean } = {},
): AsyncGenerator<GuestEntry> {
  for await (const { entry, data } of readTar(tar)) {
    const name = memberPath(entry.name).join('/') || '.';
    if (name === '.' && !withRoot) continue;
    yield {
      name,
      mode: KINDS[entry.type] | entry.mode,
      uid: owner?.uid ?? entry.uid,
      gid: owner?.gid ?? entry.gid,
      size: entry.type === 'file' ? entry.size : 0,
      mtime: entry.mtime,
      mtimeNanoseconds: entry.mtimeNanoseconds,
      major: entry.major,
      minor: entry.minor,
      ...(entry.type === 'symlink' ? { link: entry.linkName } : {}),
      ...(entry.type === 'hardlink' ? { hardLink: memberPath(entry.linkName).join('/') } : {}),
      ...(entry.xattrs === undefined ? {} : { xattrs: new Map(entry.xattrs) }),
      ...(entry.type === 'file' ? { data: fillHoles(data(), entry) } : {}),
    };
  }
}
