import { invalid } from './errors.ts';

/** Everything of a stream of bytes. `invalid` when it is more than `limit`, and the stream is destroyed. */
export async function readToEnd(
  stream: AsyncIterable<Buffer | Uint8Array | string>,
  limit = 16 * 1024 * 1024,
): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of stream) {
    const bytes = typeof chunk === 'string' ? Buffer.from(chunk) : chunk;
    size += bytes.length;
    if (size > limit) throw invalid(`Cannot read more than ${limit} bytes here`);
    chunks.push(bytes);
  }
  return Buffer.concat(chunks);
}

/**
 * A queue between one side that pushes and one that iterates: events, progress messages. Over `capacity` waiting values
 * the newest is dropped, so that a reader that stalls costs bounded memory.
 */
export class Channel<T> implements AsyncIterableIterator<T> {
  readonly #waiting: T[] = [];
  readonly #capacity: number;
  #wake: (() => void) | undefined;
  #ended = false;
  #error: unknown;

  constructor(capacity = Number.POSITIVE_INFINITY) {
    this.#capacity = capacity;
  }

  push(value: T): void {
    if (this.#ended || this.#waiting.length >= this.#capacity) return;
    this.#waiting.push(value);
    this.#wake?.();
  }

  /** Ends the iteration after what is waiting; with an error, the reader gets it last. */
  end(error?: unknown): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#error = error;
    this.#wake?.();
  }

  async next(): Promise<IteratorResult<T, undefined>> {
    for (;;) {
      if (this.#waiting.length > 0) return { done: false, value: this.#waiting.shift() as T };
      if (this.#ended) {
        const error = this.#error;
        this.#error = undefined;
        if (error !== undefined) throw error;
        return { done: true, value: undefined };
      }
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      await promise;
      this.#wake = undefined;
    }
  }

  async return(): Promise<IteratorResult<T, undefined>> {
    this.#waiting.length = 0;
    this.end();
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}

/**
 * Runs `work`, which reports through a function, as an iteration of what it reports. What it throws, the reader gets after
 * everything reported.
 */
export function reported<T>(work: (report: (value: T) => void) => Promise<void>): AsyncIterableIterator<T> {
  const channel = new Channel<T>();
  work((value) => channel.push(value)).then(
    () => channel.end(),
    (error: unknown) => channel.end(error),
  );
  return channel;
}
