import { createHash } from 'node:crypto';
import path from 'node:path';
import type { Readable } from 'node:stream';
import { Worker } from 'node:worker_threads';
import { internal, invalid, messageOf } from '#/base/errors.ts';
import { type Digest, digestFromHex } from '#/oci/digest.ts';
import { type FromWorker, type LayerJob, SLOT_SIZE, SLOTS, type ToWorker } from './layer-job.ts';
import type { RecipeHeader } from './recipe.ts';

export interface WrittenLayer {
  diffId: Digest;
  header: RecipeHeader;
}

/** How long a worker waits for the next layer: an image has many, and a worker takes longer to start than a small layer. */
const IDLE_MS = 1000;

/**
 * Writes layers in worker threads, one a layer at a time. A worker that has nothing to do ends, and its memory with it. None
 * keeps the process alive.
 */
export class LayerWorkers {
  readonly #idle: LayerWorker[] = [];

  /** What was begun on the disk is the caller's to remove when this throws. */
  async write(tar: Readable, layer: LayerJob, signal?: AbortSignal): Promise<WrittenLayer> {
    signal?.throwIfAborted();
    const worker = this.#take();
    const abort = (): void => {
      worker.fail(signal?.reason);
      tar.destroy();
    };
    signal?.addEventListener('abort', abort, { once: true });
    try {
      return await worker.write(tar, layer);
    } finally {
      signal?.removeEventListener('abort', abort);
      tar.destroy();
      this.#giveBack(worker);
    }
  }

  #take(): LayerWorker {
    const worker = this.#idle.pop() ?? new LayerWorker();
    worker.ref();
    return worker;
  }

  #giveBack(worker: LayerWorker): void {
    if (worker.isGone) return;
    this.#idle.push(worker);
    worker.unref(IDLE_MS, () => {
      const at = this.#idle.indexOf(worker);
      if (at >= 0) this.#idle.splice(at, 1);
    });
  }
}

type Done = Extract<FromWorker, { kind: 'done' }>;

/** The bundle has the worker beside itself; run as TypeScript it is the module next to this one. */
function workerFile(): string {
  return typeof __dirname === 'string'
    ? path.join(__dirname, 'layer-writer.cjs')
    : path.join(import.meta.dirname, 'layer-writer.ts');
}

/** This side of one worker: fills slots and sends them when full. */
class LayerWorker {
  readonly #worker: Worker;
  readonly #bytes: Buffer;
  readonly #free: number[] = Array.from({ length: SLOTS }, (_, slot) => slot);
  #wake: (() => void) | undefined;
  #job = 0;
  #abandoned: (() => void) | undefined;
  #result: PromiseWithResolvers<Done> = Promise.withResolvers();
  #slot: number | undefined;
  #used = 0;
  #idle: NodeJS.Timeout | undefined;
  isGone = false;

  constructor() {
    const slots = new SharedArrayBuffer(SLOT_SIZE * SLOTS);
    this.#bytes = Buffer.from(slots);
    this.#worker = new Worker(workerFile(), { workerData: slots, name: 'layer-writer' });
    this.#worker.on('message', (message: FromWorker) => this.#receive(message));
    this.#worker.on('error', (cause) => {
      this.#gone(internal(`the layer writer failed: ${messageOf(cause)}`, { cause }));
    });
    this.#worker.on('exit', () => this.#gone(internal('the layer writer ended before its layer')));
    // Nobody waits between layers.
    this.#result.promise.catch(() => {});
  }

  #gone(reason: Error): void {
    this.isGone = true;
    this.#abandoned?.();
    this.fail(reason);
  }

  ref(): void {
    clearTimeout(this.#idle);
    this.#worker.ref();
  }

  /** Lets the worker end after this long without work. */
  unref(idleMs: number, ended: () => void): void {
    this.#worker.unref();
    this.#idle = setTimeout(() => {
      ended();
      void this.#worker.terminate();
    }, idleMs).unref();
  }

  fail(reason: unknown): void {
    this.#result.reject(reason);
  }

  async write(tar: Readable, layer: LayerJob): Promise<WrittenLayer> {
    const job = ++this.#job;
    this.#result = Promise.withResolvers();
    const { promise } = this.#result;
    this.#used = 0;
    this.#post({ kind: 'begin', job, layer });
    try {
      const pumped = this.#pump(tar, job);
      // Ends with the worker's failure though the stream should stall meanwhile.
      const { header } = await Promise.race([pumped.then(() => promise), promise]);
      return { diffId: await pumped, header };
    } catch (error) {
      await this.#abandon(job);
      throw error;
    }
  }

  /** Returns when the worker has its hands off the layer. */
  async #abandon(job: number): Promise<void> {
    // What is pumped still belongs to no job.
    this.#job++;
    if (this.isGone) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#abandoned = resolve;
    this.#post({ kind: 'abandon', job });
    await promise;
  }

  /** Hashes on the way: the worker has the longer part of the work already. */
  async #pump(tar: Readable, job: number): Promise<Digest> {
    const hash = createHash('sha256');
    for await (const chunk of tar) {
      hash.update(chunk as Buffer);
      await this.#send(chunk as Buffer, job);
    }
    this.#flush();
    this.#post({ kind: 'end', job });
    return digestFromHex(hash.digest('hex'));
  }

  async #send(chunk: Buffer, job: number): Promise<void> {
    let at = 0;
    while (at < chunk.length) {
      if (job !== this.#job) throw internal('the layer is not written any more');
      this.#slot ??= this.#free.pop();
      if (this.#slot === undefined) {
        await this.#freed();
        continue;
      }
      const from = this.#slot * SLOT_SIZE + this.#used;
      const copied = chunk.copy(this.#bytes, from, at, at + SLOT_SIZE - this.#used);
      at += copied;
      this.#used += copied;
      if (this.#used === SLOT_SIZE) this.#flush();
    }
  }

  #flush(): void {
    if (this.#slot !== undefined) {
      this.#post({ kind: 'data', job: this.#job, slot: this.#slot, length: this.#used });
    }
    this.#slot = undefined;
    this.#used = 0;
  }

  async #freed(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wake = resolve;
    await Promise.race([promise, this.#result.promise]);
  }

  #receive(message: FromWorker): void {
    if (message.kind === 'free') {
      this.#free.push(message.slot);
      this.#wake?.();
    } else if (message.kind === 'abandoned') {
      this.#abandoned?.();
    } else if (message.job === this.#job) {
      if (message.kind === 'done') this.#result.resolve(message);
      else this.fail(failure(message));
    }
  }

  #post(message: ToWorker): void {
    this.#worker.postMessage(message);
  }
}

function failure(message: Extract<FromWorker, { kind: 'failed' }>): Error {
  const options = message.cause === undefined ? undefined : { cause: new Error(message.cause) };
  return message.invalid ? invalid(message.message, options) : internal(message.message, options);
}
