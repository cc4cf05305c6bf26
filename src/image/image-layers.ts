import type { Readable } from 'node:stream';
import { Transform } from 'node:stream';
import { messageOf, unavailable } from '#/base/errors.ts';
import type { Logger } from '#/base/log.ts';
import type { ContentStore } from '#/content/content-store.ts';
import type { Digest } from '#/oci/digest.ts';
import type { LayerInfo, Snapshotter } from '#/snapshot/snapshotter.ts';
import type { Database } from '#/state/database.ts';
import type { Leases } from '#/state/leases.ts';
import type { ImageRecords } from './image-records.ts';
import type { ImageUsers } from './image-users.ts';

/** Takes layers out of the mount table before they are deleted. Whoever mounts them implements it. */
export interface LayerMounts {
  /** No error when it is not mounted. */
  unmount(diffId: Digest): Promise<void> | void;
}

export interface LayerLease extends AsyncDisposable {
  add(diffId: Digest): void;
}

const STEPS = [`CREATE TABLE layer_tars (diff_id TEXT PRIMARY KEY, size INTEGER NOT NULL) WITHOUT ROWID`];

/**
 * The layers of images, and the collection of those that nothing uses.
 *
 * What takes long (load, save) takes a *lease* on each layer that it needs. What is short takes a *hold*, as between the look
 * at an image and the record of a container on it: while there is one no layer at all is deleted, and a collection that is
 * asked for meanwhile runs when the last hold ends.
 */
export class ImageLayers {
  readonly #snapshotter: Snapshotter;
  readonly #database: Database;
  readonly #records: ImageRecords;
  readonly #content: ContentStore;
  readonly #leases: Leases;
  readonly #users: ImageUsers;
  readonly #mounts: LayerMounts;
  readonly #logger: Logger;
  #holds = 0;
  /** Under way until the layers are gone for everyone. */
  #collecting: Promise<void> | undefined;
  /** Deletions whose space is not free yet. */
  readonly #freeing = new Set<Promise<void>>();
  #wanted: Set<Digest> | 'all' | undefined;

  constructor(options: {
    snapshotter: Snapshotter;
    database: Database;
    records: ImageRecords;
    content: ContentStore;
    leases: Leases;
    users: ImageUsers;
    mounts: LayerMounts;
    logger: Logger;
  }) {
    this.#snapshotter = options.snapshotter;
    this.#database = options.database;
    this.#records = options.records;
    this.#content = options.content;
    this.#leases = options.leases;
    this.#users = options.users;
    this.#mounts = options.mounts;
    this.#logger = options.logger;
    this.#database.migrate('layers', STEPS);
  }

  /** Protects the layers that are added to it; when it is disposed, those that nothing else uses are deleted. */
  lease(): LayerLease {
    const lease = this.#leases.take();
    const added = new Set<Digest>();
    return {
      add: (diffId) => {
        added.add(diffId);
        lease.add('layer', diffId);
      },
      [Symbol.asyncDispose]: async () => {
        lease.release();
        await this.collect(added);
      },
    };
  }

  /** While it is held no layer is deleted. Waits for a collection that is under way, which takes milliseconds. */
  async hold(): Promise<AsyncDisposable> {
    this.#holds += 1;
    await this.#collecting;
    let held = true;
    return {
      [Symbol.asyncDispose]: async () => {
        if (!held) return;
        held = false;
        this.#holds -= 1;
        if (this.#holds === 0 && this.#wanted !== undefined) await this.#run();
      },
    };
  }

  /** Writes a layer, which belongs to the lease. */
  async write(
    tar: Readable,
    lease: LayerLease,
    options: { expected?: Digest; signal?: AbortSignal } = {},
  ): Promise<LayerInfo> {
    let size = 0;
    const counted = tar.pipe(
      new Transform({
        transform(chunk: Buffer, _, done) {
          size += chunk.length;
          done(null, chunk);
        },
      }),
    );
    tar.once('error', (error) => counted.destroy(error));
    counted.once('close', () => {
      if (!tar.readableEnded) tar.destroy();
    });
    const layer = await this.#snapshotter.writeLayer(counted, options);
    lease.add(layer.diffId);
    if (this.stat(layer.diffId) === undefined) {
      // It was there already, and its last owner went away just before the lease.
      throw unavailable(`Layer "${layer.diffId}" was removed while it was written: try again`);
    }
    this.#rememberTarSize(layer.diffId, size);
    return layer;
  }

  stat(diffId: Digest): LayerInfo | undefined {
    return this.#snapshotter.statLayer(diffId);
  }

  list(): LayerInfo[] {
    return this.#snapshotter.listLayers();
  }

  read(diffId: Digest): Readable {
    return this.#snapshotter.readLayer(diffId);
  }

  /** Bytes of the layer's tar, which a tar that holds it has to say in advance. */
  async tarSize(diffId: Digest): Promise<number> {
    const row = this.#database.prepare('SELECT size FROM layer_tars WHERE diff_id = ?').get(diffId);
    if (row !== undefined) return Number(row['size']);
    let size = 0;
    for await (const chunk of this.read(diffId)) size += (chunk as Buffer).length;
    this.#rememberTarSize(diffId, size);
    return size;
  }

  /**
   * Deletes the layers among the candidates, or of all there are, that no image, container or lease uses; with all, blobs
   * too. At once, or when the last hold ends. Resolves when their space is free, which for a large layer takes the kernel
   * some time after it is gone.
   */
  async collect(candidates: Iterable<Digest> | 'all'): Promise<void> {
    if (candidates === 'all') this.#wanted = 'all';
    else if (this.#wanted !== 'all') this.#wanted = new Set([...(this.#wanted ?? []), ...candidates]);
    if (this.#holds === 0) await this.#run();
  }

  /** The same, with nobody waiting for it. */
  collectSoon(candidates: Iterable<Digest>): void {
    this.collect(candidates).catch((error: unknown) => {
      this.#logger.warn(`Cannot delete layers: ${messageOf(error)}`);
    });
  }

  /** Resolves when the space of everything that was deleted so far is free. */
  async settled(): Promise<void> {
    await this.#collecting;
    await Promise.all(this.#freeing);
  }

  async #run(): Promise<void> {
    await this.#collecting;
    const wanted = this.#wanted;
    if (wanted === undefined || this.#holds > 0) return this.settled();
    this.#wanted = undefined;
    this.#collecting = this.#delete(wanted).finally(() => (this.#collecting = undefined));
    await this.settled();
    if (wanted === 'all') await this.#deleteBlobs();
  }

  /** Takes the layers away; what remains of the work is in `#freeing`. Never rejects. */
  async #delete(candidates: Set<Digest> | 'all'): Promise<void> {
    const used = new Set<string>([...this.#records.layersInUse(), ...this.#users.layersInUse()]);
    for (const name of this.#leases.protected('layer')) used.add(name);
    const layers =
      candidates === 'all' ? this.#snapshotter.listLayers().map((layer) => layer.diffId) : candidates;
    for (const diffId of layers) {
      if (used.has(diffId)) continue;
      try {
        await this.#mounts.unmount(diffId);
      } catch (error) {
        this.#complain(diffId, error);
        continue;
      }
      const freed: Promise<void> = this.#snapshotter
        .removeLayer(diffId)
        .catch((error: unknown) => this.#complain(diffId, error))
        .finally(() => this.#freeing.delete(freed));
      this.#freeing.add(freed);
      this.#database.prepare('DELETE FROM layer_tars WHERE diff_id = ?').run(diffId);
    }
  }

  /** What asked for the collection is done; the layer stays garbage until the next full one. */
  #complain(diffId: Digest, error: unknown): void {
    this.#logger.warn(`Cannot delete layer "${diffId}": ${messageOf(error)}`);
  }

  async #deleteBlobs(): Promise<void> {
    const used = new Set<string>([...this.#records.blobsInUse(), ...this.#leases.protected('blob')]);
    for await (const { digest } of this.#content.list()) {
      if (!used.has(digest)) await this.#content.remove(digest);
    }
  }

  #rememberTarSize(diffId: Digest, size: number): void {
    this.#database.prepare('INSERT OR REPLACE INTO layer_tars VALUES (?, ?)').run(diffId, size);
  }
}
