import { type BigIntStats, lstatSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { CAPABILITY } from '#/archive/file-capabilities.ts';
import { OPAQUE_XATTR } from '#/archive/member-path.ts';
import { textOf } from '#/archive/tar-entry.ts';
import { errnoCode } from '#/base/errors.ts';
import { deviceNumbers } from '#/host/files.ts';
import { getXattr } from '#/host/xattr.ts';
import { type Owner, ownerInside } from '#/oci/id-mapping.ts';
import type { GuestEntry, GuestFiles } from '#/runtime/runtime.ts';
import type { Snapshotter } from '#/snapshot/snapshotter.ts';
import type { ContainerRecord } from '../record.ts';

/** `Kind`: 0 modified, 1 added, 2 deleted. */
export interface FilesystemChange {
  Path: string;
  Kind: 0 | 1 | 2;
}

/** What the engine or the runtime puts into every container for its mounts: Docker's init layer (daemon/initlayer/setup_unix.go). */
const OWN_PLACES = new Set(
  '/dev /dev/pts /dev/shm /dev/mqueue /dev/console /proc /sys /etc/hosts /etc/hostname /etc/resolv.conf /etc/mtab /.dockerenv'.split(
    ' ',
  ),
);

/** Whether a path from the root is one that no user made: never a change, never committed. */
export function isOwnPlace(absolute: string): boolean {
  return OWN_PLACES.has(absolute);
}

/** What the container's writable top says against its image, ordered by path. The layers are to be mounted. */
export function changesOf(snapshotter: Snapshotter, { id, idMapping }: ContainerRecord): FilesystemChange[] {
  const { upper } = snapshotter.mounts(id);
  if (upper === undefined) return [];
  const top: Top = new Map();
  readTop(top, upper, '', ({ uid, gid }) =>
    idMapping === undefined ? { uid, gid } : ownerInside(idMapping, { uid, gid }),
  );
  return changesBetween(imageOf(snapshotter, id), top);
}

/** As changesOf(), of a container whose writable top only its guest may look into. The layers are to be mounted. */
export async function guestChangesOf(
  snapshotter: Snapshotter,
  { id }: ContainerRecord,
  files: GuestFiles,
): Promise<FilesystemChange[]> {
  const top: Top = new Map();
  for await (const entry of files.tree('/', { whole: true, upper: true, bare: true }))
    top.set(entry.name === '.' ? '' : `/${textOf(entry.name)}`, entryState(entry));
  return changesBetween(imageOf(snapshotter, id), top);
}

function imageOf(snapshotter: Snapshotter, id: string): LayerStack {
  const { layers } = snapshotter.mounts(id);
  return new LayerStack(layers.map(({ directory }) => directory).reverse());
}

/** What is in a writable top, by path: its root is `''`. */
type Top = Map<string, FileState>;

function readTop(top: Top, upper: string, at: string, ownerOf: (owner: Owner) => Owner): void {
  const file = upper + at;
  const stats = statOf(file);
  if (stats === undefined) return;
  const state = stateOf(file, stats);
  top.set(at, { ...state, ...ownerOf(state) });
  if (!stats.isDirectory()) return;
  for (const name of namesIn(file)) readTop(top, upper, `${at}/${name}`, ownerOf);
}

/** Rules of moby's pkg/archive/changes.go: a directory counts as modified when anything in it changed. */
function changesBetween(image: LayerStack, top: Top): FilesystemChange[] {
  const changes = new Map<string, FilesystemChange['Kind']>();
  for (const [at, state] of top) {
    const kind = at === '' || isOwnPlace(at) ? undefined : changeAt(image.find(at), state);
    if (kind !== undefined) changes.set(at, kind);
    if (!state.isOpaque) continue;
    // Removed and made anew: nothing that the image has there shows any more.
    for (const name of image.names(at)) if (!top.has(`${at}/${name}`)) changes.set(`${at}/${name}`, 2);
  }
  for (const changed of changes.keys()) {
    for (let at = path.posix.dirname(changed); at !== '/'; at = path.posix.dirname(at))
      if (!changes.has(at) && !isOwnPlace(at)) changes.set(at, 0);
  }
  return [...changes]
    .map(([Path, Kind]) => ({ Path, Kind }))
    .sort((a, b) => Buffer.compare(Buffer.from(a.Path), Buffer.from(b.Path)));
}

function changeAt(before: Found | undefined, now: FileState): FilesystemChange['Kind'] | undefined {
  if ((now.mode & S_IFMT) === S_IFCHR && now.device === WHITEOUT_DEVICE)
    return before === undefined ? undefined : 2;
  if (before === undefined) return 1;
  return differs(now, stateOf(before.file, before.stats)) ? 0 : undefined;
}

interface Found {
  stats: BigIntStats;
  file: string;
}

/** What tells a file from another of the same name. */
interface FileState extends Owner {
  mode: number;
  device: string;
  size: bigint;
  mtimeNs: bigint;
  capability: string | undefined;
  isOpaque: boolean;
}

function stateOf(file: string, { mode, uid, gid, rdev, size, mtimeNs }: BigIntStats): FileState {
  const { major, minor } = deviceNumbers(rdev);
  return {
    mode: Number(mode),
    uid: Number(uid),
    gid: Number(gid),
    device: `${major}:${minor}`,
    size,
    mtimeNs,
    ...markings((name) => getXattr(file, name)),
  };
}

function entryState({ mode, uid, gid, size, mtime, mtimeNanoseconds, ...entry }: GuestEntry): FileState {
  return {
    mode,
    uid,
    gid,
    device: `${entry.major}:${entry.minor}`,
    size: BigInt(size),
    mtimeNs: BigInt(mtime) * SECOND + BigInt(mtimeNanoseconds),
    ...markings((name) => entry.xattrs?.get(name)),
  };
}

function markings(xattr: (name: string) => Buffer | undefined): Pick<FileState, 'capability' | 'isOpaque'> {
  return {
    capability: xattr(CAPABILITY)?.toString('hex'),
    isOpaque: xattr(OPAQUE_XATTR)?.toString() === 'y',
  };
}

function differs(now: FileState, then: FileState): boolean {
  if (now.mode !== then.mode || now.device !== then.device) return true;
  if (now.uid !== then.uid || now.gid !== then.gid) return true;
  if ((now.mode & S_IFMT) === S_IFDIR) return false;
  // Layers keep whole seconds, as most tars do: sameFsTime() of moby's pkg/archive/changes_unix.go.
  const [a, b] = [now.mtimeNs, then.mtimeNs];
  const sameTime = a === b || (a / SECOND === b / SECOND && (a % SECOND === 0n || b % SECOND === 0n));
  return !sameTime || now.size !== then.size || now.capability !== then.capability;
}

const S_IFMT = 0o170000;
const S_IFDIR = 0o040000;
const S_IFCHR = 0o020000;
const SECOND = 1_000_000_000n;
const WHITEOUT_DEVICE = '0:0';

/** An image's layers looked at as overlayfs does, without mounting them together. */
class LayerStack {
  readonly #directories: readonly string[];

  /** Topmost first. */
  constructor(directories: readonly string[]) {
    this.#directories = directories;
  }

  find(absolute: string): Found | undefined {
    return this.#each(absolute).next().value;
  }

  names(absolute: string): Set<string> {
    const names = new Set<string>();
    const hidden = new Set<string>();
    for (const { stats, file } of this.#each(absolute)) {
      if (!stats.isDirectory()) break;
      for (const name of namesIn(file)) {
        if (isWhiteout(statOf(path.join(file, name)))) hidden.add(name);
        else if (!hidden.has(name)) names.add(name);
      }
    }
    return names;
  }

  /** What the layers have at a path, topmost first, down to where one hides those below. */
  *#each(absolute: string): Generator<Found, undefined> {
    const components = absolute.split('/').filter(Boolean);
    for (const layer of this.#directories) {
      let file = layer;
      let opaque = false;
      let stats = statOf(file);
      for (const [index, component] of components.entries()) {
        file = `${file}/${component}`;
        stats = statOf(file);
        if (stats === undefined) break;
        // A whiteout, or a file or link where a layer above has a directory.
        if (isWhiteout(stats)) return;
        if (!stats.isDirectory() && index < components.length - 1) return;
        opaque ||= stats.isDirectory() && getXattr(file, OPAQUE_XATTR)?.toString() === 'y';
      }
      if (stats !== undefined) yield { stats, file };
      if (opaque || (stats !== undefined && !stats.isDirectory())) return;
    }
  }
}

function isWhiteout(stats: BigIntStats | undefined): boolean {
  return stats !== undefined && stats.isCharacterDevice() && stats.rdev === 0n;
}

function statOf(file: string): BigIntStats | undefined {
  try {
    return lstatSync(file, { bigint: true });
  } catch (error) {
    const code = errnoCode(error);
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw error;
  }
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch (error) {
    if (errnoCode(error) === 'ENOENT') return [];
    throw error;
  }
}
