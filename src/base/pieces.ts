const PIECE = 256 << 10;

/**
 * Gathers small buffers into pieces of 256 KiB, the last one shorter: a stream of a tar's headers and small files would
 * otherwise cost a turn of the loop for every few bytes. Large buffers pass as they are.
 */
export async function* inPieces(source: AsyncIterable<Buffer> | Iterable<Buffer>): AsyncGenerator<Buffer> {
  let piece = Buffer.allocUnsafe(PIECE);
  let used = 0;
  for await (const chunk of source) {
    if (used > 0 && used + chunk.length > PIECE) {
      yield piece.subarray(0, used);
      piece = Buffer.allocUnsafe(PIECE);
      used = 0;
    }
    if (chunk.length >= PIECE) yield chunk;
    else used += chunk.copy(piece, used);
  }
  if (used > 0) yield piece.subarray(0, used);
}
