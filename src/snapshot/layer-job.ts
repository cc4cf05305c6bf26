import path from 'node:path';
import type { Readable } from 'node:stream';
import { Worker } from 'node:worker_threads';
import type { TarLimits } from '#/archive/limits.ts';
import { internal, invalid, messageOf } from '#/base/errors.ts';
import { type Digest, digestFromHex } from '#/oci/digest.ts';
import type { RecipeHeader } from './recipe.ts';

/** What a layer-writing worker is given. */
export interface LayerJob {
  kind: 'erofs' | 'overlay';
  /** The file or directory to make; neither this nor the recipe exists yet. */
  target: string;
  recipe: string;
  limits: TarLimits;
  slots: SharedArrayBuffer;
  slotSize: number;
}

export type ToWorker = { kind: 'data'; slot: number; length: number } | { kind: 'end' };

export type FromWorker =
  | { kind: 'free'; slot: number }
  | { kind: 'done'; digest: string; header: RecipeHeader }
  | { kind: 'failed'; invalid: boolean; message: string; cause?: string };

export interface WrittenLayer {
  diffId: Digest;
  header: RecipeHeader;
}

const SLOT_SIZE = 1 << 20;
const SLOTS = 6;

/** The bundle has the worker beside itself; run as TypeScript it is the module next to this one. */
function workerFile(): string {
  return typeof __dirname === 'string'
    ? path.join(__dirname, 'layer-writer.cjs')
    : path.join(import.meta.dirname, 'layer-writer.ts');
}

/**
 * Writes one layer in a worker thread of its own, which ends with it. The tar goes over in shared slots, so that neither side
 * makes garbage and what is under way is bounded. What was begun on the disk is the caller's to remove when this throws.
 */
export async function writeLayerInWorker(
  tar: Readable,
  job: Pick<LayerJob, 'kind' | 'target' | 'recipe' | 'limits'>,
  signal?: AbortSignal,
): Promise<WrittenLayer> {
  signal?.throwIfAborted();
  const slots = new SharedArrayBuffer(SLOT_SIZE * SLOTS);
  const workerData: LayerJob = { ...job, slots, slotSize: SLOT_SIZE };
  const worker = new Worker(workerFile(), { workerData, name: 'layer-writer' });
  const feed = new Feed(worker, slots);
  const abort = (): void => {
    feed.fail(signal?.reason);
    tar.destroy();
  };
  signal?.addEventListener('abort', abort, { once: true });
  try {
    // Rejects early when the worker fails, so that a stream that stalls meanwhile does not hold the error back.
    const pumped = pump(tar, feed);
    const result = await Promise.race([pumped.then(() => feed.result), feed.result]);
    return { diffId: digestFromHex(result.digest), header: result.header };
  } finally {
    signal?.removeEventListener('abort', abort);
    tar.destroy();
    await worker.terminate();
  }
}

async function pump(tar: Readable, feed: Feed): Promise<void> {
  for await (const chunk of tar) await feed.write(chunk as Buffer);
  await feed.end();
}

/** The sending side: fills slots and sends them when full. */
class Feed {
  readonly result: Promise<Extract<FromWorker, { kind: 'done' }>>;
  readonly fail: (reason: unknown) => void;
  readonly #worker: Worker;
  readonly #bytes: Buffer;
  readonly #free: number[] = Array.from({ length: SLOTS }, (_, slot) => slot);
  #wake: (() => void) | undefined;
  #slot: number | undefined;
  #used = 0;

  constructor(worker: Worker, slots: SharedArrayBuffer) {
    this.#worker = worker;
    this.#bytes = Buffer.from(slots);
    const { promise, resolve, reject } = Promise.withResolvers<Extract<FromWorker, { kind: 'done' }>>();
    this.result = promise;
    // Whoever waits sees the rejection; nobody may be waiting yet.
    promise.catch(() => {});
    this.fail = (reason) => reject(reason);
    worker.on('message', (message: FromWorker) => {
      if (message.kind === 'done') return resolve(message);
      if (message.kind === 'failed') return reject(failure(message));
      this.#free.push(message.slot);
      this.#wake?.();
    });
    worker.on('error', (error) =>
      reject(internal(`the layer writer failed: ${messageOf(error)}`, { cause: error })),
    );
    worker.on('exit', () => reject(internal('the layer writer ended before its layer')));
  }

  async write(chunk: Buffer): Promise<void> {
    let at = 0;
    while (at < chunk.length) {
      this.#slot ??= this.#free.pop();
      if (this.#slot === undefined) {
        await this.#freed();
        continue;
      }
      const copied = chunk.copy(
        this.#bytes,
        this.#slot * SLOT_SIZE + this.#used,
        at,
        at + SLOT_SIZE - this.#used,
      );
      at += copied;
      this.#used += copied;
      if (this.#used === SLOT_SIZE) this.#send();
    }
  }

  async end(): Promise<void> {
    this.#send();
    this.#post({ kind: 'end' });
  }

  #send(): void {
    if (this.#slot === undefined) return;
    this.#post({ kind: 'data', slot: this.#slot, length: this.#used });
    this.#slot = undefined;
    this.#used = 0;
  }

  async #freed(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wake = resolve;
    await Promise.race([promise, this.result]);
  }

  #post(message: ToWorker): void {
    this.#worker.postMessage(message);
  }
}

function failure(message: Extract<FromWorker, { kind: 'failed' }>): Error {
  const options = message.cause === undefined ? undefined : { cause: new Error(message.cause) };
  return message.invalid ? invalid(message.message, options) : internal(message.message, options);
}
