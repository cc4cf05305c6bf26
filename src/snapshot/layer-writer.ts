import { createHash } from 'node:crypto';
import { parentPort, workerData } from 'node:worker_threads';
import type { TarHandler } from '#/archive/tar-parser.ts';
import { TarParser } from '#/archive/tar-parser.ts';
import { type EngineError, isKind, messageOf } from '#/base/errors.ts';
import { ErofsLayerWriter } from './erofs/erofs-layer-writer.ts';
import { DirectoryLayerWriter } from './overlay/directory-layer-writer.ts';
import type { FromWorker, LayerJob, ToWorker } from './layer-job.ts';
import { type RecipeHeader, RecipeWriter } from './recipe.ts';

/**
 * The worker thread that writes one layer: it reads the tar from shared slots, hashes it, hands its members to the writer of
 * the wanted kind, and ends. Everything in here is synchronous: it has the thread to itself.
 */
interface LayerWriter extends TarHandler {
  /** Completes the layer and makes it durable. */
  finish(): RecipeHeader;
}

function main(job: LayerJob): void {
  const hash = createHash('sha256');
  const recipe = new RecipeWriter(job.recipe);
  const Writer = job.kind === 'erofs' ? ErofsLayerWriter : DirectoryLayerWriter;
  const writer: LayerWriter = new Writer(job.target, recipe, job.limits);
  const parser = new TarParser(writer, job.limits);
  const slots = Buffer.from(job.slots);

  parentPort?.on('message', (message: ToWorker) => {
    try {
      if (message.kind === 'data') {
        const start = message.slot * job.slotSize;
        const chunk = slots.subarray(start, start + message.length);
        hash.update(chunk);
        parser.push(chunk);
        post({ kind: 'free', slot: message.slot });
        return;
      }
      parser.end();
      const header = writer.finish();
      recipe.finish(header);
      post({ kind: 'done', digest: hash.digest('hex'), header });
    } catch (error) {
      post({
        kind: 'failed',
        invalid: isKind(error, 'invalid'),
        message: messageOf(error),
        cause: causeOf(error),
      });
    }
  });
}

function causeOf(error: unknown): string | undefined {
  const cause = (error as EngineError).cause;
  return cause === undefined ? undefined : messageOf(cause);
}

function post(message: FromWorker): void {
  parentPort?.postMessage(message);
}

main(workerData as LayerJob);
