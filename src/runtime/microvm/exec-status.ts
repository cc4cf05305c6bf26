import { rmSync, watch } from 'node:fs';
import path from 'node:path';
import { printable, takeFile } from './shared-files.ts';

/** More than any words that a guest has for a failure; it could write more. */
const WORDS_LIMIT = 32_768;

/** Waits for what `hull-vm exec` leaves beside its file: whether the process runs in the guest (protocol.md). */
export class ExecStatus implements Disposable {
  readonly #file: string;
  readonly #told = Promise.withResolvers<string>();
  readonly #watcher: ReturnType<typeof watch>;

  /** `file` is hull-vm's; to be made before hull-vm runs. */
  constructor(file: string) {
    this.#file = `${file}.status`;
    this.#watcher = watch(path.dirname(file), () => this.#look());
    this.#watcher.on('error', (error) => this.#told.reject(error));
    this.#told.promise.catch(() => {});
  }

  /** Why the process does not run; empty when it does. */
  get told(): Promise<string> {
    return this.#told.promise;
  }

  /** Nothing will be told any more: takes what has been, or this. */
  settle(otherwise: string): void {
    this.#look();
    this.#told.resolve(otherwise);
  }

  [Symbol.dispose](): void {
    this.#watcher.close();
    rmSync(this.#file, { force: true });
  }

  #look(): void {
    const words = takeFile(this.#file, WORDS_LIMIT);
    if (words !== undefined) this.#told.resolve(printable(words.toString('utf8')));
  }
}
