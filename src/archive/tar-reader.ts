import { invalid } from '#/base/errors.ts';
import type { TarLimits } from './limits.ts';
import type { TarEntry } from './tar-entry.ts';
import { TarParser } from './tar-parser.ts';

/** A member as it passes: its data is read, or passed over, before the next member is asked for. */
export interface TarMember {
  entry: TarEntry;
  /** The stored bytes: all of a file, or the ranges of a sparse one. Empty for everything else. */
  data: () => AsyncGenerator<Buffer>;
  /** The whole data of a small file. Throws `invalid` over `limit` bytes (default 4 MiB). */
  bytes: (limit?: number) => Promise<Buffer>;
}

type Event = { entry: TarEntry } | { data: Buffer } | 'end';

/**
 * Reads a tar member by member. Nothing is kept: memory is bounded by the source's chunks. Throws `invalid` for a source that
 * is no tar, is truncated or over the limits.
 */
export async function* readTar(
  source: AsyncIterable<Buffer>,
  limits?: Partial<TarLimits>,
): AsyncGenerator<TarMember> {
  const events = new EventSource(source, limits);
  try {
    for (let event = await events.next(); event !== undefined; event = await events.next()) {
      if (typeof event === 'object' && 'entry' in event) yield member(event.entry, events);
    }
  } finally {
    await events.close();
  }
}

function member(entry: TarEntry, events: EventSource): TarMember {
  async function* data(): AsyncGenerator<Buffer> {
    if (entry.type !== 'file') return;
    for (
      let event = await events.next();
      event !== undefined && event !== 'end';
      event = await events.next()
    ) {
      if ('data' in event) yield event.data;
    }
  }
  async function bytes(limit = 4 << 20): Promise<Buffer> {
    if (entry.size > limit) throw invalid(`"${entry.name}" of ${entry.size} bytes is over ${limit}`);
    const pieces: Buffer[] = [];
    for await (const piece of data()) pieces.push(piece);
    return Buffer.concat(pieces);
  }
  return { entry, data, bytes };
}

/** Turns the parser's calls into a queue, one chunk of the source at a time. */
class EventSource {
  readonly #chunks: AsyncIterator<Buffer>;
  readonly #parser: TarParser;
  #queue: Event[] = [];
  #head = 0;
  #ended = false;

  constructor(source: AsyncIterable<Buffer>, limits?: Partial<TarLimits>) {
    this.#chunks = source[Symbol.asyncIterator]();
    const queue = (event: Event): void => void this.#queue.push(event);
    this.#parser = new TarParser(
      {
        entry: (entry) => queue({ entry }),
        data: (buffer, start, end) => queue({ data: buffer.subarray(start, end) }),
        fileEnd: () => queue('end'),
      },
      limits,
    );
  }

  async next(): Promise<Event | undefined> {
    while (this.#head === this.#queue.length) {
      if (this.#ended) return undefined;
      this.#queue = [];
      this.#head = 0;
      const { done, value } = await this.#chunks.next();
      if (done === true) {
        this.#ended = true;
        this.#parser.end();
      } else {
        this.#parser.push(value);
      }
    }
    return this.#queue[this.#head++];
  }

  async close(): Promise<void> {
    this.#ended = true;
    await this.#chunks.return?.();
  }
}
