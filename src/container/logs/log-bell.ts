import { watch } from 'node:fs';

// Writers on another mount or an overflowing inotify queue tell nothing; look anyway.
const POLL_MS = 1000;

/** Rings when the file changes, and every second in case nobody told. */
export class LogBell implements Disposable {
  readonly #path: string;
  readonly #signal: AbortSignal | undefined;
  #watcher: ReturnType<typeof watch> | undefined;
  #written = false;
  #rung = false;
  #wake: (() => void) | undefined;
  readonly #onAbort = (): void => this.ring();

  constructor(path: string, signal?: AbortSignal) {
    this.#path = path;
    this.#signal = signal;
    signal?.addEventListener('abort', this.#onAbort, { once: true });
    this.watch();
  }

  /** Watches whatever file has the name now. */
  watch(): void {
    this.#watcher?.close();
    try {
      this.#watcher = watch(this.#path, (event) => {
        if (event === 'change') this.#written = true;
        else this.#rung = true;
        this.#wake?.();
      });
      this.#watcher.on('error', () => this.#watcher?.close());
    } catch {
      // Out of inotify watches, or rotated away this very moment: the second hand still moves.
      this.#watcher = undefined;
    }
  }

  ring(): void {
    this.#rung = true;
    this.#wake?.();
  }

  /** True when the file was written to and nothing else happened: no ring, no other name, no second without a word. */
  async wait(): Promise<boolean> {
    if (!this.#rung && !this.#written) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, POLL_MS);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      this.#wake = undefined;
    }
    const onlyWritten = this.#written && !this.#rung;
    this.#written = false;
    this.#rung = false;
    return onlyWritten;
  }

  [Symbol.dispose](): void {
    this.#watcher?.close();
    this.#signal?.removeEventListener('abort', this.#onAbort);
  }
}
