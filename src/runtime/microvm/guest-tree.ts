import { inPieces } from '#/base/pieces.ts';
import type { GuestEntry, GuestFiles, TreeOptions } from '../runtime.ts';
import type { Call, GuestConnection } from './guest-connection.ts';
import { decodeEntries, encodeEntries } from './guest-entries.ts';
import { CHANNEL, FIRST_CREDIT, FRAME_LIMIT, METHOD } from './guest-frames.ts';
import { Records, TAG } from './records.ts';

/** A guest's files, by the agent's own reading and writing. */
export class GuestTree implements GuestFiles {
  readonly #open: () => Promise<GuestConnection>;

  constructor(open: () => Promise<GuestConnection>) {
    this.#open = open;
  }

  async *tree(path: string, options: TreeOptions): AsyncGenerator<GuestEntry> {
    const { whole, follow = false, upper = false, unmounted = false, bare = false } = options;
    const body = new Records().add(TAG.path, Buffer.from(path));
    if (whole) body.add(TAG.whole);
    if (follow) body.add(TAG.follow);
    if (upper) body.add(TAG.upper);
    if (unmounted) body.add(TAG.unmounted);
    if (bare) body.add(TAG.bare);
    const guest = await this.#open();
    const pieces = new PieceQueue();
    const call = guest.call(METHOD.tree, body.encode(), {
      data: (_, piece, taken) => pieces.push(piece, taken),
    });
    call.result.then(
      () => pieces.end(),
      (error: unknown) => pieces.end(error),
    );
    let done = false;
    try {
      yield* decodeEntries(pieces, { bare });
      done = true;
    } finally {
      if (!done) {
        call.cancel();
        pieces.drain();
      }
    }
  }

  async plant(
    path: string,
    entries: AsyncIterable<GuestEntry>,
    { keepKind = false, upper = false }: { keepKind?: boolean; upper?: boolean } = {},
  ): Promise<void> {
    const guest = await this.#open();
    const credit = new Credit();
    const body = new Records().add(TAG.path, Buffer.from(path));
    if (keepKind) body.add(TAG.keepKind);
    if (upper) body.add(TAG.upper);
    const call = guest.call(METHOD.plant, body.encode(), { credit: (_, bytes) => credit.add(bytes) });
    call.result.then(
      () => credit.stop(),
      () => credit.stop(),
    );
    try {
      await send(call, credit, inPieces(encodeEntries(entries)));
    } catch (error) {
      call.cancel();
      await call.result.catch(() => {});
      throw error;
    }
    await call.result;
  }

  async sync(): Promise<void> {
    const guest = await this.#open();
    await guest.call(METHOD.sync, new Records().encode()).result;
  }
}

/** Ends early when the other side has answered: it wants no more. */
async function send(call: Call, credit: Credit, chunks: AsyncIterable<Buffer>): Promise<void> {
  for await (const chunk of chunks) {
    for (let at = 0; at < chunk.length;) {
      const allowed = await credit.take(Math.min(chunk.length - at, FRAME_LIMIT - 1));
      if (allowed === 0) return;
      call.send(CHANNEL.in, chunk.subarray(at, at + allowed));
      at += allowed;
    }
  }
  call.send(CHANNEL.in, Buffer.alloc(0));
}

/** How much may be sent. */
class Credit {
  #left = FIRST_CREDIT;
  #stopped = false;
  #wake: (() => void) | undefined;

  add(bytes: number): void {
    this.#left += bytes;
    this.#wake?.();
  }

  stop(): void {
    this.#stopped = true;
    this.#wake?.();
  }

  /** Waits for some, and takes at most so much; 0 when nothing will come any more. */
  async take(most: number): Promise<number> {
    while (this.#left === 0 && !this.#stopped) {
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
    if (this.#stopped) return 0;
    const taken = Math.min(most, this.#left);
    this.#left -= taken;
    return taken;
  }
}

/** Pieces that came, until they are read: no more of them than there was credit for. */
class PieceQueue implements AsyncIterable<Buffer> {
  readonly #pieces: { piece: Buffer; taken: () => void }[] = [];
  #ended = false;
  #error: unknown;
  #draining = false;
  #wake: (() => void) | undefined;

  push(piece: Buffer, taken: () => void): void {
    if (this.#draining) taken();
    else if (piece.length > 0) this.#pieces.push({ piece, taken });
    this.#wake?.();
  }

  end(error?: unknown): void {
    this.#ended = true;
    this.#error = error;
    this.#wake?.();
  }

  /** Nobody reads any more: what still comes is let pass. */
  drain(): void {
    this.#draining = true;
    for (const { taken } of this.#pieces.splice(0)) taken();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Buffer> {
    for (;;) {
      const next = this.#pieces.shift();
      if (next !== undefined) {
        next.taken();
        yield next.piece;
      } else if (this.#ended) {
        if (this.#error !== undefined) throw this.#error;
        return;
      } else {
        await new Promise<void>((resolve) => (this.#wake = resolve));
      }
    }
  }
}
