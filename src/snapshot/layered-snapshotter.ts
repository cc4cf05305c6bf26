import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statfsSync, statSync } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { Readable } from 'node:stream';
import { DEFAULT_LIMITS, type TarLimits } from '#/archive/limits.ts';
import { errnoCode, invalid, notFound } from '#/base/errors.ts';
import { newId } from '#/base/ids.ts';
import { type Digest, digestFromHex, digestHex, isDigest } from '#/oci/digest.ts';
import type { LayerKind } from './layer-kind.ts';
import { LayerWorkers } from './layer-workers.ts';
import { inPieces } from '#/base/pieces.ts';
import { followRecipe, readRecipeHeader } from './recipe.ts';
import type { LayerInfo, Snapshotter, SnapshotMounts, WriteLayerOptions } from './snapshotter.ts';
import { Snapshots } from './snapshots.ts';

export interface SnapshotterPlaces {
  /** Where layers and snapshots are kept. One process at a time uses it. */
  root: string;
  /** Where layers that are images get mounted, `<hex>` each; default `<root>/mounts`. */
  mountRoot?: string;
  /** Where the filesystems of limited snapshots get mounted, `<key>` each; default `<root>/disks`. */
  diskRoot?: string;
  limits?: Partial<TarLimits>;
}

/** Threads are the process's, whatever the store. */
const workers = new LayerWorkers();

interface Layer extends LayerInfo {
  opaqueRoot: boolean;
}

/**
 * The snapshotter for layers that are a file or a directory each:
 *
 *     <root>/layers/<hex>.erofs | <hex>, <hex>.recipe      <root>/snapshots/<key>/      <root>/tmp/
 *
 * What exists is known in memory from the start, so that stat, list and mounts touch no disk. A layer counts as there when its
 * image is; its recipe is renamed into place before it and deleted after it.
 */
export class LayeredSnapshotter implements Snapshotter {
  readonly name: string;
  readonly #kind: LayerKind;
  readonly #layersRoot: string;
  readonly #temporary: string;
  readonly #mountRoot: string;
  readonly #diskRoot: string;
  readonly #limits: TarLimits;
  readonly #layers = new Map<Digest, Layer>();
  readonly #snapshots: Snapshots;

  constructor(kind: LayerKind, places: SnapshotterPlaces) {
    this.name = kind.name;
    this.#kind = kind;
    const root = path.resolve(places.root);
    this.#layersRoot = path.join(root, 'layers');
    this.#temporary = path.join(root, 'tmp');
    this.#mountRoot = path.resolve(places.mountRoot ?? path.join(root, 'mounts'));
    this.#diskRoot = path.resolve(places.diskRoot ?? path.join(root, 'disks'));
    this.#limits = { ...DEFAULT_LIMITS, ...places.limits };
    for (const directory of [this.#layersRoot, this.#temporary]) {
      mkdirSync(directory, { recursive: true, mode: 0o711 });
    }
    this.#snapshots = new Snapshots(path.join(root, 'snapshots'), this.#temporary);
    for (const name of readdirSync(this.#layersRoot)) this.#index(name);
  }

  async writeLayer(tar: Readable, options: WriteLayerOptions = {}): Promise<LayerInfo> {
    const known = options.expected === undefined ? undefined : this.#layers.get(options.expected);
    if (known !== undefined) {
      checkExpected(await digestOf(tar, options.signal), known.diffId);
      return infoOf(known);
    }
    const target = path.join(this.#temporary, newId());
    const recipe = `${target}.recipe`;
    try {
      const job = { kind: this.#kind.name, target, recipe, limits: this.#limitsNow() };
      const { diffId, header } = await workers.write(tar, job, options.signal);
      checkExpected(diffId, options.expected);
      const known = this.#layers.get(diffId);
      if (known !== undefined) return infoOf(known);
      const diskSize = header.diskSize + statSync(recipe).size;
      await this.#publish(diffId, target, recipe);
      const layer = { diffId, size: header.size, diskSize, opaqueRoot: header.opaqueRoot };
      this.#layers.set(diffId, layer);
      return infoOf(layer);
    } finally {
      await rm(target, { recursive: true, force: true });
      await rm(recipe, { force: true });
    }
  }

  readLayer(diffId: Digest): Readable {
    return Readable.from(inPieces(this.#read(diffId)), { objectMode: false });
  }

  statLayer(diffId: Digest): LayerInfo | undefined {
    const layer = this.#layers.get(diffId);
    return layer === undefined ? undefined : infoOf(layer);
  }

  listLayers(): LayerInfo[] {
    return Array.from(this.#layers.values(), infoOf);
  }

  async removeLayer(diffId: Digest): Promise<void> {
    if (!this.#layers.delete(diffId)) return;
    // Out of the way at once, so that the next write of this layer finds its places free.
    const gone = [this.#layerPath(diffId), this.#recipePath(diffId)].map((place) => {
      const temporary = path.join(this.#temporary, newId());
      renameSync(place, temporary);
      return temporary;
    });
    for (const temporary of gone) await rm(temporary, { recursive: true, force: true });
  }

  async prepare(
    key: string,
    layers: readonly Digest[],
    { size = 0, guest = false }: { size?: number; guest?: boolean } = {},
  ): Promise<void> {
    this.#requireLayers(layers);
    if (size > 0) await this.#snapshots.createLimited(key, layers, { size, guest });
    else this.#snapshots.create(key, layers, false);
  }

  async view(key: string, layers: readonly Digest[]): Promise<void> {
    this.#requireLayers(layers);
    this.#snapshots.create(key, layers, true);
  }

  mounts(key: string): SnapshotMounts {
    const { layers, readonly } = this.#snapshots.get(key);
    // overlayfs does not heed an opaque root: what lies below one is left out here.
    const lowest = layers.findLastIndex((diffId) => this.#layers.get(diffId)?.opaqueRoot);
    const mounts: SnapshotMounts = {
      layers: layers.slice(Math.max(lowest, 0)).map((diffId) => {
        const directory = path.join(this.#mountRoot, digestHex(diffId));
        return { diffId, ...this.#kind.mount(this.#layerPath(diffId), directory) };
      }),
    };
    if (readonly) return mounts;
    const file = this.#snapshots.disk(key);
    const directory = file === undefined ? this.#snapshots.directory(key) : path.join(this.#diskRoot, key);
    const { guest = false, emptySize = 0 } = this.#snapshots.get(key);
    if (file !== undefined) mounts.disk = { file, directory, type: 'ext4', guest, emptySize };
    return { ...mounts, upper: path.join(directory, 'upper'), work: path.join(directory, 'work') };
  }

  replace(key: string, by: string): void {
    this.#snapshots.replace(key, by);
  }

  async remove(key: string): Promise<void> {
    this.#snapshots.remove(key);
  }

  listSnapshots(): string[] {
    return this.#snapshots.keys();
  }

  async tidy(): Promise<void> {
    for (const name of readdirSync(this.#temporary)) {
      rmSync(path.join(this.#temporary, name), { recursive: true, force: true });
    }
    for (const name of readdirSync(this.#layersRoot)) {
      const hex = name.endsWith('.recipe')
        ? name.slice(0, -'.recipe'.length)
        : this.#kind.parseFileName(name);
      const isKnown = hex !== undefined && isDigest(`sha256:${hex}`) && this.#layers.has(digestFromHex(hex));
      if (!isKnown) rmSync(path.join(this.#layersRoot, name), { recursive: true, force: true });
    }
    this.#snapshots.tidy();
  }

  /** A tar that states more data than the disk has room for is refused at once instead of filling it. */
  #limitsNow(): TarLimits {
    const { bavail, bsize } = statfsSync(this.#temporary);
    return { ...this.#limits, data: Math.min(this.#limits.data, bavail * bsize) };
  }

  #requireLayers(layers: readonly Digest[]): void {
    const missing = layers.find((diffId) => !this.#layers.has(diffId));
    if (missing !== undefined) throw notFound(`layer ${missing} does not exist`);
  }

  async #publish(diffId: Digest, target: string, recipe: string): Promise<void> {
    await rename(recipe, this.#recipePath(diffId));
    try {
      await rename(target, this.#layerPath(diffId));
    } catch (error) {
      // Another write of the same layer came first: a directory is not renamed over one that is not empty.
      const code = errnoCode(error);
      if (code !== 'ENOTEMPTY' && code !== 'EEXIST') throw error;
    }
    await using directory = await open(this.#layersRoot, 'r');
    await directory.sync();
  }

  async *#read(diffId: Digest): AsyncGenerator<Buffer> {
    if (!this.#layers.has(diffId)) throw notFound(`layer ${diffId} does not exist`);
    await using reader = await this.#kind.open(this.#layerPath(diffId));
    for await (const piece of followRecipe(this.#recipePath(diffId))) {
      if (Buffer.isBuffer(piece)) yield piece;
      else yield* reader.read(piece);
    }
  }

  #index(name: string): void {
    const hex = this.#kind.parseFileName(name);
    if (hex === undefined || !isDigest(`sha256:${hex}`)) return;
    const diffId = digestFromHex(hex);
    const recipe = this.#recipePath(diffId);
    if (!existsSync(recipe)) return;
    const header = readRecipeHeader(recipe);
    if (header === undefined) return;
    this.#layers.set(diffId, {
      diffId,
      size: header.size,
      diskSize: header.diskSize + statSync(recipe).size,
      opaqueRoot: header.opaqueRoot,
    });
  }

  #layerPath(diffId: Digest): string {
    return path.join(this.#layersRoot, this.#kind.fileName(digestHex(diffId)));
  }

  #recipePath(diffId: Digest): string {
    return path.join(this.#layersRoot, `${digestHex(diffId)}.recipe`);
  }
}

function checkExpected(diffId: Digest, expected: Digest | undefined): void {
  if (expected === undefined || expected === diffId) return;
  throw invalid(`layer digest mismatch: expected ${expected}, got ${diffId}`);
}

async function digestOf(tar: Readable, signal?: AbortSignal): Promise<Digest> {
  const hash = createHash('sha256');
  for await (const chunk of tar) {
    signal?.throwIfAborted();
    hash.update(chunk as Buffer);
  }
  return digestFromHex(hash.digest('hex'));
}

function infoOf({ diffId, size, diskSize }: Layer): LayerInfo {
  return { diffId, size, diskSize };
}
