import { createHash, type Hash } from 'node:crypto';
import { parentPort, workerData } from 'node:worker_threads';
import { type TarHandler, TarParser } from '#/archive/tar-parser.ts';
import { isKind, messageOf } from '#/base/errors.ts';
import { ErofsLayerWriter } from './erofs/erofs-layer-writer.ts';
import { type FromWorker, type LayerJob, SLOT_SIZE, type ToWorker } from './layer-job.ts';
import { DirectoryLayerWriter } from './overlay/directory-layer-writer.ts';
import { type RecipeHeader, RecipeWriter } from './recipe.ts';

/**
 * The worker thread that writes layers, one at a time: it reads the tar from shared slots, hashes it and hands its members to
 * the writer of the wanted kind. All in here is synchronous: it has the thread to itself. After a failure it is not used again.
 */
interface LayerWriter extends TarHandler {
  /** Completes the layer and makes it durable. */
  finish(): RecipeHeader;
}

class Writing {
  readonly #hash: Hash = createHash('sha256');
  readonly #recipe: RecipeWriter;
  readonly #writer: LayerWriter;
  readonly #parser: TarParser;

  constructor({ kind, target, recipe, limits }: LayerJob) {
    const Writer = kind === 'erofs' ? ErofsLayerWriter : DirectoryLayerWriter;
    this.#recipe = new RecipeWriter(recipe);
    this.#writer = new Writer(target, this.#recipe, limits);
    this.#parser = new TarParser(this.#writer, limits);
  }

  push(chunk: Buffer): void {
    this.#hash.update(chunk);
    this.#parser.push(chunk);
  }

  end(): FromWorker {
    this.#parser.end();
    const header = this.#writer.finish();
    this.#recipe.finish(header);
    return { kind: 'done', digest: this.#hash.digest('hex'), header };
  }
}

const slots = Buffer.from(workerData as SharedArrayBuffer);
let writing: Writing | undefined;

function post(message: FromWorker): void {
  parentPort?.postMessage(message);
}

function take(message: ToWorker): void {
  if (message.kind === 'begin') {
    writing = new Writing(message.job);
  } else if (message.kind === 'data') {
    const start = message.slot * SLOT_SIZE;
    writing?.push(slots.subarray(start, start + message.length));
    post({ kind: 'free', slot: message.slot });
  } else if (writing !== undefined) {
    const done = writing.end();
    writing = undefined;
    post(done);
  }
}

parentPort?.on('message', (message: ToWorker) => {
  try {
    take(message);
  } catch (error) {
    writing = undefined;
    const cause = error instanceof Error && error.cause !== undefined ? messageOf(error.cause) : undefined;
    post({
      kind: 'failed',
      invalid: isKind(error, 'invalid'),
      message: messageOf(error),
      ...(cause === undefined ? {} : { cause }),
    });
  }
});
