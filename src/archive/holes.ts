import type { TarEntry } from './tar-entry.ts';

const HOLE = Buffer.alloc(64 << 10);

/** A file's whole bytes from those that a tar stores of it: of a sparse one its ranges, with zeros for the holes between them. */
export async function* fillHoles(
  chunks: AsyncIterable<Buffer> | Iterable<Buffer>,
  { sparse, size }: Pick<TarEntry, 'size' | 'sparse'>,
): AsyncGenerator<Buffer> {
  if (sparse === undefined) {
    yield* chunks;
    return;
  }
  let position = 0;
  let range = 0;
  for await (const chunk of chunks) {
    let at = 0;
    while (at < chunk.length) {
      const { offset, length } = sparse[range] ?? { offset: position, length: chunk.length };
      yield* hole(offset - position);
      position = Math.max(position, offset);
      const piece = chunk.subarray(at, at + offset + length - position);
      yield piece;
      at += piece.length;
      position += piece.length;
      if (position === offset + length) range++;
    }
  }
  yield* hole(size - position);
}

function* hole(length: number): Generator<Buffer> {
  for (let left = length; left > 0; left -= HOLE.length) yield HOLE.subarray(0, Math.min(left, HOLE.length));
}
