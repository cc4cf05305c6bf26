import type { Readable } from 'node:stream';
import type { Filters } from '#/base/filters.ts';
import { KeyedLock } from '#/base/locks.ts';
import type { Logger } from '#/base/log.ts';
import { reported } from '#/base/streams.ts';
import type { ContentStore } from '#/content/content-store.ts';
import type { Digest } from '#/oci/digest.ts';
import { parsePlatform, type Platform } from '#/oci/platform.ts';
import type { Snapshotter } from '#/snapshot/snapshotter.ts';
import type { Database } from '#/state/database.ts';
import type { EventLog } from '#/state/events.ts';
import type { Leases } from '#/state/leases.ts';
import { PruneTurn } from '#/state/prune-turn.ts';
import type {
  ImageDeleteResponseItem,
  ImageHistoryResponseItem,
  ImageInspect,
  ImagePruneResponse,
  ImageSummary,
} from '#/wire/generated.ts';
import { bootstrapImage } from './bootstrap/bootstrap-image.ts';
import { createImage, type NewImage } from './create-image.ts';
import { imageHistory } from './image-history.ts';
import { ImageLayers, type LayerMounts } from './image-layers.ts';
import { type ImageRecord, ImageRecords } from './image-records.ts';
import type { ImageUsers } from './image-users.ts';
import { importImage } from './import-image.ts';
import { inspectImage } from './inspect-image.ts';
import { listImages } from './list-images.ts';
import { loadImages, type LoadOptions } from './load-images.ts';
import { refuseOtherPlatforms } from './offered-platform.ts';
import type { ProgressMessage } from './progress.ts';
import { pruneImages } from './prune-images.ts';
import { ImageRemover } from './remove-image.ts';
import { saveImages } from './save-images.ts';
import { tagImage } from './tag-image.ts';

export interface ImagesOptions {
  database: Database;
  events: EventLog;
  leases: Leases;
  content: ContentStore;
  snapshotter: Snapshotter;
  /** Answers from the containers' records. */
  users: ImageUsers;
  mounts: LayerMounts;
  logger: Logger;
}

/**
 * The images of an engine, a verb a file: this is where the verbs meet what they work on. Looking at images reads records and
 * takes no lock; changes are one transaction each, and those that depend on what they read go one after another.
 */
export class Images {
  readonly records: ImageRecords;
  readonly layers: ImageLayers;
  readonly #events: EventLog;
  readonly #users: ImageUsers;
  readonly #remover: ImageRemover;
  readonly #driver: string;
  readonly #logger: Logger;
  readonly #removals = new KeyedLock();
  readonly #pruning: PruneTurn;

  constructor(options: ImagesOptions) {
    this.records = new ImageRecords(options.database);
    this.layers = new ImageLayers({ ...options, records: this.records });
    this.#events = options.events;
    this.#pruning = new PruneTurn(options.events, 'image');
    this.#users = options.users;
    this.#driver = options.snapshotter.name;
    this.#logger = options.logger;
    this.#remover = new ImageRemover({ ...options, records: this.records, layers: this.layers });
  }

  /** Deletes the layers and blobs that a crash left without an owner. Once, after the containers' records are open. */
  async collectGarbage(): Promise<void> {
    await this.layers.collect('all');
  }

  /** While it is held no layer is deleted: take it between `resolve` and the record of what uses the image. */
  hold(): Promise<AsyncDisposable> {
    return this.layers.hold();
  }

  /** The image that a name, id or beginning of an id means. Throws `notFound` in Docker's words. */
  resolve(reference: string): ImageRecord {
    return this.records.resolve(reference);
  }

  load(archive: Readable, options: LoadOptions = {}, signal?: AbortSignal): AsyncIterable<ProgressMessage> {
    return reported((report) => loadImages(this.#context, archive, options, report, signal));
  }

  import(
    tar: Readable,
    options: { reference?: string; message?: string; changes?: string[]; platform?: string } = {},
    signal?: AbortSignal,
  ): AsyncIterable<ProgressMessage> {
    const { reference, platform, ...rest } = options;
    return reported(async (report) => {
      const id = await importImage(
        this.#context,
        tar,
        {
          ...rest,
          ...(reference === undefined ? {} : { name: reference }),
          ...(platform === undefined ? {} : { platform: parsePlatform(platform) }),
        },
        signal,
      );
      report({ status: id });
    });
  }

  /** Makes an image of a new layer on a base, as commit and build do. Returns its id. */
  create(image: NewImage, signal?: AbortSignal): Promise<Digest> {
    return createImage(this.#context, image, signal);
  }

  /** Images that do not offer each of the platforms are `notFound`; so it is for `inspect`, `history` and `remove`. */
  save(
    references: readonly string[],
    options: { platforms?: readonly Platform[] } = {},
    signal?: AbortSignal,
  ): Promise<Readable> {
    return saveImages(this.#context, references, options, signal);
  }

  async list(
    options: { all?: boolean; filters?: Filters; sharedSize?: boolean; containers?: boolean } = {},
  ): Promise<ImageSummary[]> {
    return listImages(this.records, this.layers, this.#users, options);
  }

  /** Bytes of all layers, each counted once. */
  layersSize(): number {
    return this.layers.list().reduce((sum, layer) => sum + layer.size, 0);
  }

  async inspect(
    reference: string,
    { platforms }: { platforms?: readonly Platform[] } = {},
  ): Promise<ImageInspect> {
    refuseOtherPlatforms(reference, this.resolve(reference).config, platforms);
    return inspectImage(this.records, this.#driver, reference);
  }

  async history(
    reference: string,
    { platforms }: { platforms?: readonly Platform[] } = {},
  ): Promise<ImageHistoryResponseItem[]> {
    refuseOtherPlatforms(reference, this.resolve(reference).config, platforms);
    return imageHistory(this.records, this.layers, reference) as ImageHistoryResponseItem[];
  }

  async tag(reference: string, target: string): Promise<void> {
    tagImage(this.records, this.#events, reference, target);
  }

  async remove(
    reference: string,
    options: { force?: boolean; noPrune?: boolean; platforms?: readonly Platform[] } = {},
  ): Promise<ImageDeleteResponseItem[]> {
    const phases = this.#logger.phases('image remove');
    using _ = await this.#removals.acquire('');
    phases.mark('lock');
    refuseOtherPlatforms(reference, this.resolve(reference).config, options.platforms);
    const deleted = await this.#remover.remove(reference, options);
    phases.mark('remove');
    phases.done({ reference });
    return deleted;
  }

  prune(filters: Filters = {}): Promise<ImagePruneResponse> {
    return this.#pruning.run(async () => {
      using _ = await this.#removals.acquire('');
      return pruneImages(
        { records: this.records, layers: this.layers, users: this.#users, remover: this.#remover },
        filters,
      );
    });
  }

  /** Makes a base image from a distribution's own signed packages. */
  bootstrap(
    options: { reference: string; mirror?: string },
    signal?: AbortSignal,
  ): AsyncIterable<ProgressMessage> {
    return reported((report) => bootstrapImage(this.#context, options, report, signal));
  }

  get #context() {
    return { records: this.records, layers: this.layers, events: this.#events };
  }
}
