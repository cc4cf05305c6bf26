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
  async write(tar: Readable, job: LayerJob, signal?: AbortSignal): Promise<WrittenLayer> {
    signal?.throwIfAborted();
    const worker = this.#take();
    const abort = (): void => {
      worker.fail(signal?.reason);
      tar.destroy();
    };
    signal?.addEventListener('abort', abort, { once: true });
    try {
      const result = await worker.write(tar, job);
      this.#giveBack(worker);
      return { diffId: digestFromHex(result.digest), header: result.header };
    } catch (error) {
      await worker.terminate();
      throw error;
    } finally {
      signal?.removeEventListener('abort', abort);
      tar.destroy();
    }
  }

  #take(): LayerWorker {
    const worker = this.#idle.pop() ?? new LayerWorker();
    worker.ref();
    return worker;
  }

  #giveBack(worker: LayerWorker): void {
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
  #result: PromiseWithResolvers<Done> = Promise.withResolvers();
  #slot: number | undefined;
  #used = 0;
  #idle: NodeJS.Timeout | undefined;

  constructor() {
    const slots = new SharedArrayBuffer(SLOT_SIZE * SLOTS);
    this.#bytes = Buffer.from(slots);
    this.#worker = new Worker(workerFile(), { workerData: slots, name: 'layer-writer' });
    this.#worker.on('message', (message: FromWorker) => this.#receive(message));
    this.#worker.on('error', (cause) =>
      this.fail(internal(`the layer writer failed: ${messageOf(cause)}`, { cause })),
    );
    this.#worker.on('exit', () => this.fail(internal('the layer writer ended before its layer')));
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
      void this.terminate();
    }, idleMs).unref();
  }

  async terminate(): Promise<void> {
    await this.#worker.terminate();
  }

  fail(reason: unknown): void {
    this.#result.reject(reason);
  }

  async write(tar: Readable, job: LayerJob): Promise<Done> {
    this.#result = Promise.withResolvers();
    const { promise } = this.#result;
    this.#post({ kind: 'begin', job });
    // Ends with the worker's failure though the stream should stall meanwhile.
    return Promise.race([this.#pump(tar).then(() => promise), promise]);
  }

  async #pump(tar: Readable): Promise<void> {
    for await (const chunk of tar) await this.#send(chunk as Buffer);
    this.#flush();
    this.#post({ kind: 'end' });
  }

  async #send(chunk: Buffer): Promise<void> {
    let at = 0;
    while (at < chunk.length) {
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
    if (this.#slot !== undefined) this.#post({ kind: 'data', slot: this.#slot, length: this.#used });
    this.#slot = undefined;
    this.#used = 0;
  }

  async #freed(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wake = resolve;
    await Promise.race([promise, this.#result.promise]);
  }

  #receive(message: FromWorker): void {
    if (message.kind === 'done') return this.#result.resolve(message);
    if (message.kind === 'failed') return this.fail(failure(message));
    this.#free.push(message.slot);
    this.#wake?.();
  }

  #post(message: ToWorker): void {
    this.#worker.postMessage(message);
  }
}

function failure(message: Extract<FromWorker, { kind: 'failed' }>): Error {
  const options = message.cause === undefined ? undefined : { cause: new Error(message.cause) };
  return message.invalid ? invalid(message.message, options) : internal(message.message, options);
}
