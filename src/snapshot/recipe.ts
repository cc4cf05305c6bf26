import { closeSync, createReadStream, fsyncSync, openSync, readSync, writeSync } from 'node:fs';
import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { internal } from '#/base/errors.ts';

/**
 * A recipe gives a layer's tar back, byte for byte, from the layer: it holds the tar's bytes that are no file's data
 * (headers, padding, the end), and says where in the layer each piece of file data lies.
 *
 * The file: a header of HEADER bytes (magic, what RecipeHeader holds: listing layers reads this alone), then frames of `u32 compressed, u32 raw` and a zstd frame. The raw stream is a sequence of records
 * `u32 length, bytes, u64 source, u64 offset, u64 length`: framing bytes, then the data that follows them; what `source` and
 * `offset` mean is the snapshotter's business. All numbers are little-endian.
 */
const MAGIC = 'HULLRCP1';
const HEADER = 32;
const FRAME = 1 << 20;
const RECORD_TAIL = 24;
/** Headers repeat themselves so much that level 1 makes a fiftieth of them, at a third of the default's time. */
const FAST = { params: { [constants.ZSTD_c_compressionLevel]: 1 } };

export interface RecipeHeader {
  /** Sum of the regular files' sizes, in bytes. */
  size: number;
  /** Bytes that the image or the tree takes on the disk. */
  diskSize: number;
  /** The root directory hides all layers below: overlayfs has no way to say it, so the snapshotter leaves those out. */
  opaqueRoot: boolean;
}

export interface DataRange {
  source: number;
  offset: number;
  length: number;
}

/** Writes a recipe, synchronously: it is made in a worker thread. */
export class RecipeWriter {
  readonly #fd: number;
  #raw = Buffer.allocUnsafe(FRAME + (64 << 10));
  #used = 0;
  /** Where the length of the framing bytes in hand is to be filled in. */
  #lengthAt = -1;
  #pending: DataRange | undefined;
  #bytes = HEADER;

  constructor(file: string) {
    this.#fd = openSync(file, 'wx', 0o600);
    writeSync(this.#fd, Buffer.alloc(HEADER));
  }

  framing(buffer: Buffer, start: number, end: number): void {
    if (this.#pending !== undefined) this.#endRecord();
    let at = start;
    while (at < end) {
      if (this.#lengthAt < 0) this.#beginRecord();
      const length = Math.min(end - at, FRAME - this.#used);
      buffer.copy(this.#raw, this.#used, at, at + length);
      this.#used += length;
      at += length;
      if (this.#used >= FRAME) this.#endRecord();
    }
  }

  data(source: number, offset: number, length: number): void {
    const pending = this.#pending;
    if (pending !== undefined && pending.source === source && pending.offset + pending.length === offset) {
      pending.length += length;
      return;
    }
    if (pending !== undefined) this.#endRecord();
    this.#pending = { source, offset, length };
  }

  /** Makes the recipe durable. Returns its size in bytes. */
  finish(header: RecipeHeader): number {
    this.#endRecord();
    this.#flush();
    const head = Buffer.alloc(HEADER);
    head.write(MAGIC, 0, 'latin1');
    head.writeBigUInt64LE(BigInt(header.size), 8);
    head.writeUInt32LE(header.opaqueRoot ? 1 : 0, 16);
    head.writeBigUInt64LE(BigInt(header.diskSize), 24);
    writeSync(this.#fd, head, 0, HEADER, 0);
    fsyncSync(this.#fd);
    closeSync(this.#fd);
    return this.#bytes;
  }

  abandon(): void {
    closeSync(this.#fd);
  }

  #beginRecord(): void {
    this.#lengthAt = this.#used;
    this.#used += 4;
  }

  #endRecord(): void {
    if (this.#lengthAt < 0) {
      if (this.#pending === undefined) return;
      this.#beginRecord();
    }
    this.#raw.writeUInt32LE(this.#used - this.#lengthAt - 4, this.#lengthAt);
    const { source, offset, length } = this.#pending ?? { source: 0, offset: 0, length: 0 };
    writeUint64(this.#raw, source, this.#used);
    writeUint64(this.#raw, offset, this.#used + 8);
    writeUint64(this.#raw, length, this.#used + 16);
    this.#used += RECORD_TAIL;
    this.#lengthAt = -1;
    this.#pending = undefined;
    if (this.#used >= FRAME - (64 << 10)) this.#flush();
  }

  #flush(): void {
    if (this.#used === 0) return;
    const frame = zstdCompressSync(this.#raw.subarray(0, this.#used), FAST);
    const head = Buffer.alloc(8);
    head.writeUInt32LE(frame.length, 0);
    head.writeUInt32LE(this.#used, 4);
    writeSync(this.#fd, head);
    writeSync(this.#fd, frame);
    this.#bytes += head.length + frame.length;
    this.#used = 0;
  }
}

/** In halves, because a BigInt for each number takes several times as long, and a layer has three for every file. */
function writeUint64(buffer: Buffer, value: number, at: number): void {
  buffer.writeUInt32LE(value % 0x1_0000_0000, at);
  buffer.writeUInt32LE(Math.floor(value / 0x1_0000_0000), at + 4);
}

/** `undefined` when the file is no whole recipe. */
export function readRecipeHeader(file: string): RecipeHeader | undefined {
  const head = Buffer.alloc(HEADER);
  const fd = openSync(file, 'r');
  try {
    if (readSync(fd, head, 0, HEADER, 0) !== HEADER || head.toString('latin1', 0, 8) !== MAGIC)
      return undefined;
  } finally {
    closeSync(fd);
  }
  return {
    size: Number(head.readBigUInt64LE(8)),
    opaqueRoot: (head.readUInt32LE(16) & 1) !== 0,
    diskSize: Number(head.readBigUInt64LE(24)),
  };
}

/** Follows a recipe: yields framing bytes, and ranges where file data goes, in the tar's order. */
export async function* followRecipe(file: string): AsyncGenerator<Buffer | DataRange> {
  let rest: Buffer = Buffer.alloc(0);
  let headerLeft = HEADER;
  for await (const piece of createReadStream(file, { highWaterMark: 1 << 20 })) {
    rest = rest.length === 0 ? (piece as Buffer) : Buffer.concat([rest, piece as Buffer]);
    if (headerLeft > 0) {
      if (rest.length < headerLeft) continue;
      rest = rest.subarray(headerLeft);
      headerLeft = 0;
    }
    while (rest.length >= 8 && rest.length >= 8 + rest.readUInt32LE(0)) {
      const length = rest.readUInt32LE(0);
      const raw = zstdDecompressSync(rest.subarray(8, 8 + length), { maxOutputLength: rest.readUInt32LE(4) });
      rest = rest.subarray(8 + length);
      yield* records(raw);
    }
  }
  if (rest.length > 0 || headerLeft > 0) throw internal(`the recipe "${file}" is torn`);
}

function* records(raw: Buffer): Generator<Buffer | DataRange> {
  let at = 0;
  while (at < raw.length) {
    const framing = raw.readUInt32LE(at);
    if (framing > 0) yield raw.subarray(at + 4, at + 4 + framing);
    at += 4 + framing;
    const range = {
      source: Number(raw.readBigUInt64LE(at)),
      offset: Number(raw.readBigUInt64LE(at + 8)),
      length: Number(raw.readBigUInt64LE(at + 16)),
    };
    if (range.length > 0) yield range;
    at += RECORD_TAIL;
  }
}
