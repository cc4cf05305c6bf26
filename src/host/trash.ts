import { mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import path from 'node:path';
import { errnoCode } from '#/base/errors.ts';
import { newId } from '#/base/ids.ts';
import { deleteTree } from './delete-tree.ts';

/** So long what is discarded waits: whoever removes a container asks for something else in a moment, and is to have the processors. */
const PAUSE_MS = 100;

/**
 * What is on its way out. A disk takes milliseconds to delete a handful of files, and nobody has to wait for that: a discarded
 * file or tree is gone from its place at once, which may be used anew, and is deleted while the caller goes on.
 */
export class Trash {
  readonly #directory: string;
  #waiting: string[] = [];
  #pause: NodeJS.Timeout | undefined;
  #work: Promise<void> = Promise.resolve();

  /** `directory` is this process's own, on the filesystem of what is discarded. Deletes what an earlier process left there. */
  constructor(directory: string) {
    this.#directory = directory;
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    for (const left of readdirSync(directory)) {
      rmSync(path.join(directory, left), { recursive: true, force: true });
    }
  }

  /** A file that is not there is no error. Nothing may be mounted below it. */
  discard(file: string): void {
    const gone = path.join(this.#directory, newId());
    try {
      renameSync(file, gone);
    } catch (error) {
      if (errnoCode(error) === 'ENOENT') return;
      throw error;
    }
    this.#waiting.push(gone);
    this.#pause ??= setTimeout(() => this.#empty(), PAUSE_MS);
  }

  /** Resolves when all that was discarded before is deleted. */
  async settled(): Promise<void> {
    this.#empty();
    await this.#work;
  }

  /** One after another: many at once would only hinder what the engine is asked meanwhile. What cannot be deleted is left to the next process. */
  #empty(): void {
    clearTimeout(this.#pause);
    this.#pause = undefined;
    for (const gone of this.#waiting.splice(0))
      this.#work = this.#work.then(() => deleteTree(gone)).catch(() => {});
  }
}
