import { parentPort, workerData } from 'node:worker_threads';
import { type TarHandler, TarParser } from '#/archive/tar-parser.ts';
import { isKind, messageOf } from '#/base/errors.ts';
import { ErofsLayerWriter } from './erofs/erofs-layer-writer.ts';
import { type FromWorker, type LayerJob, SLOT_SIZE, type ToWorker } from './layer-job.ts';
import { DirectoryLayerWriter } from './overlay/directory-layer-writer.ts';
import { type RecipeHeader, RecipeWriter } from './recipe.ts';

/**
 * The worker thread that writes layers, one at a time: it reads the tar from shared slots and hands its members to the writer
 * of the wanted kind. All in here is synchronous: it has the thread to itself.
 */
interface LayerWriter extends TarHandler {
  /** Completes the layer and makes it durable. */
  finish(): RecipeHeader;
  /** Closes what is open of a layer that is not to be. */
  abandon(): void;
}

class Writing {
  readonly job: number;
  readonly #recipe: RecipeWriter;
  readonly #writer: LayerWriter;
  readonly #parser: TarParser;

  constructor(job: number, { kind, target, recipe, limits }: LayerJob) {
    const Writer = kind === 'erofs' ? ErofsLayerWriter : DirectoryLayerWriter;
    this.job = job;
    this.#recipe = new RecipeWriter(recipe);
    this.#writer = new Writer(target, this.#recipe, limits);
    this.#parser = new TarParser(this.#writer, limits);
  }

  push(chunk: Buffer): void {
    this.#parser.push(chunk);
  }

  end(): FromWorker {
    this.#parser.end();
    const header = this.#writer.finish();
    this.#recipe.finish(header);
    return { kind: 'done', job: this.job, header };
  }

  abandon(): void {
    this.#recipe.abandon();
    this.#writer.abandon();
  }
}

const slots = Buffer.from(workerData as SharedArrayBuffer);
let writing: Writing | undefined;

function post(message: FromWorker): void {
  parentPort?.postMessage(message);
}

function take(message: ToWorker): void {
  if (message.kind === 'begin') writing = new Writing(message.job, message.layer);
  const current = writing?.job === message.job ? writing : undefined;
  switch (message.kind) {
    case 'data':
      current?.push(slots.subarray(message.slot * SLOT_SIZE, message.slot * SLOT_SIZE + message.length));
      break;
    case 'end':
      if (current === undefined) return;
      post(current.end());
      writing = undefined;
      break;
    case 'abandon':
      current?.abandon();
      if (current !== undefined) writing = undefined;
      post({ kind: 'abandoned', job: message.job });
  }
}

function failureOf(job: number, error: unknown): FromWorker {
  const failed = {
    kind: 'failed',
    job,
    invalid: isKind(error, 'invalid'),
    message: messageOf(error),
  } as const;
  if (!(error instanceof Error) || error.cause === undefined) return failed;
  return { ...failed, cause: messageOf(error.cause) };
}

parentPort?.on('message', (message: ToWorker) => {
  try {
    take(message);
  } catch (error) {
    writing?.abandon();
    writing = undefined;
    post(failureOf(message.job, error));
  }
  if (message.kind === 'data') post({ kind: 'free', slot: message.slot });
});
