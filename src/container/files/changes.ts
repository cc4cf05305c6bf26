import { type BigIntStats, lstatSync, readdirSync } from 'node:fs';
import path from 'node:path';
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
  const { layers, upper } = snapshotter.mounts(id);
  if (upper === undefined) return [];
  const image = new LayerStack(layers.map(({ directory }) => directory).reverse());
  const changes: FilesystemChange[] = [];
  const ownerOf = ({ uid, gid }: BigIntStats): Owner => {
    const owner = { uid: Number(uid), gid: Number(gid) };
    return idMapping === undefined ? owner : ownerInside(idMapping, owner);
  };
  collect({ image, upper, ownerOf }, '', changes);
  return changes.sort((a, b) => Buffer.compare(Buffer.from(a.Path), Buffer.from(b.Path)));
}

/** As changesOf(), of a container whose writable top only its guest may look into. The layers are to be mounted. */
export async function guestChangesOf(
  snapshotter: Snapshotter,
  { id }: ContainerRecord,
  files: GuestFiles,
): Promise<FilesystemChange[]> {
  const { layers } = snapshotter.mounts(id);
  const image = new LayerStack(layers.map(({ directory }) => directory).reverse());
  const upper = new Map<string, GuestEntry>();
  for await (const entry of files.tree('/', { whole: true, upper: true, bare: true }))
    upper.set(entry.name === '.' ? '' : `/${textOf(entry.name)}`, entry);
  const changes: FilesystemChange[] = [];
  const touched = new Set<string>();
  for (const [at, entry] of upper) {
    const changed = at === '' ? undefined : changeAt(image, at, entry);
    if (changed !== undefined) changes.push(changed);
    if (entry.xattrs?.get(OPAQUE_XATTR)?.toString() === 'y') {
      for (const name of image.names(at)) {
        if (!upper.has(`${at}/${name}`)) changes.push({ Path: `${at}/${name}`, Kind: 2 });
      }
    }
  }
  // A directory counts as modified when anything in it changed.
  const known = new Set(changes.map((change) => change.Path));
  for (const { Path } of changes) {
    for (let at = Path.lastIndexOf('/'); at > 0; at = Path.lastIndexOf('/', at - 1))
      touched.add(Path.slice(0, at));
  }
  for (const directory of touched) {
    if (!known.has(directory) && !isOwnPlace(directory)) changes.push({ Path: directory, Kind: 0 });
  }
  return changes.sort((a, b) => Buffer.compare(Buffer.from(a.Path), Buffer.from(b.Path)));
}

function changeAt(image: LayerStack, at: string, entry: GuestEntry): FilesystemChange | undefined {
  if (isOwnPlace(at)) return undefined;
  const before = image.find(at);
  if (entry.major === 0 && entry.minor === 0 && (entry.mode & S_IFMT) === S_IFCHR) {
    return before === undefined ? undefined : { Path: at, Kind: 2 };
  }
  if (before === undefined) return { Path: at, Kind: 1 };
  const capability = entry.xattrs?.get(CAPABILITY)?.toString('hex');
  const now = {
    mode: BigInt(entry.mode),
    device: `${entry.major}:${entry.minor}`,
    owner: entry,
    size: BigInt(entry.size),
    mtimeNs: BigInt(entry.mtime) * SECOND + BigInt(entry.mtimeNanoseconds),
  };
  return differs(now, () => capability, before) ? { Path: at, Kind: 0 } : undefined;
}

interface Comparison {
  image: LayerStack;
  upper: string;
  /** Whose a file of the writable top is to the container. */
  ownerOf: (stats: BigIntStats) => Owner;
}

/** Rules of moby's pkg/archive/changes.go: a directory counts as modified when anything in it changed. */
function collect(comparison: Comparison, directory: string, changes: FilesystemChange[]): void {
  const { image, upper, ownerOf } = comparison;
  const here = upper + directory;
  const names = namesIn(here);
  for (const name of names) {
    const at = `${directory}/${name}`;
    if (isOwnPlace(at) && statOf(upper + at)?.isDirectory() !== true) continue;
    const now = statOf(upper + at);
    if (now === undefined) continue;
    const before = image.find(at);
    if (now.isCharacterDevice() && now.rdev === 0n) {
      if (before !== undefined) changes.push({ Path: at, Kind: 2 });
      continue;
    }
    const inside: FilesystemChange[] = [];
    if (now.isDirectory()) collect(comparison, at, inside);
    const own = isOwnPlace(at);
    if (before === undefined && !(own && inside.length === 0)) changes.push({ Path: at, Kind: 1 });
    else if (
      before !== undefined &&
      !own &&
      (inside.length > 0 || differs(stateOf(now, ownerOf(now)), () => capabilityOf(upper + at), before))
    ) {
      changes.push({ Path: at, Kind: 0 });
    }
    changes.push(...inside);
  }
  if (getXattr(here, OPAQUE_XATTR)?.toString() !== 'y') return;
  // Removed and made anew: nothing that the image has there shows any more.
  for (const name of image.names(directory)) {
    if (!names.includes(name)) changes.push({ Path: `${directory}/${name}`, Kind: 2 });
  }
}

interface Found {
  stats: BigIntStats;
  file: string;
}

/** What tells a file from another of the same name. */
interface FileState {
  mode: bigint;
  device: string;
  owner: Owner;
  size: bigint;
  mtimeNs: bigint;
}

function stateOf({ mode, rdev, size, mtimeNs }: BigIntStats, owner: Owner): FileState {
  const { major, minor } = deviceNumbers(rdev);
  return { mode, device: `${major}:${minor}`, owner, size, mtimeNs };
}

function differs(now: FileState, capability: () => string | undefined, before: Found): boolean {
  const { uid, gid } = before.stats;
  const then = stateOf(before.stats, { uid: Number(uid), gid: Number(gid) });
  if (now.mode !== then.mode || now.device !== then.device) return true;
  if (now.owner.uid !== then.owner.uid || now.owner.gid !== then.owner.gid) return true;
  if ((Number(now.mode) & S_IFMT) === S_IFDIR) return false;
  // Layers keep whole seconds, as most tars do: sameFsTime() of moby's pkg/archive/changes_unix.go.
  const [a, b] = [now.mtimeNs, then.mtimeNs];
  const sameTime = a === b || (a / SECOND === b / SECOND && (a % SECOND === 0n || b % SECOND === 0n));
  if (!sameTime || now.size !== then.size) return true;
  return capability() !== capabilityOf(before.file);
}

function capabilityOf(file: string): string | undefined {
  return getXattr(file, CAPABILITY)?.toString('hex');
}

const S_IFMT = 0o170000;
const S_IFDIR = 0o040000;
const S_IFCHR = 0o020000;
const SECOND = 1_000_000_000n;
const CAPABILITY = 'security.capability';

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
