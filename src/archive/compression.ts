import { pipeline, Readable, type Transform } from 'node:stream';
import { createGunzip, createZstdDecompress } from 'node:zlib';
import { errnoCode, invalid, isKind, messageOf, unavailable } from '#/base/errors.ts';
import { spawnStreaming } from '#/host/process.ts';

export type Compression = 'none' | 'gzip' | 'bzip2' | 'xz' | 'zstd';

const MAGIC: readonly [Compression, readonly number[]][] = [
  ['gzip', [0x1f, 0x8b, 0x08]],
  ['bzip2', [0x42, 0x5a, 0x68]],
  ['xz', [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]],
  ['zstd', [0x28, 0xb5, 0x2f, 0xfd]],
];
const LONGEST_MAGIC = 6;
const CHUNK = 256 << 10;

/** Told by the first bytes; `none` for anything that is not one of the others. */
export function detectCompression(start: Uint8Array): Compression {
  for (const [kind, magic] of MAGIC) if (magic.every((byte, index) => start[index] === byte)) return kind;
  // zstd's skippable frames (0x184D2A50 to …5F) may come before the first one with data.
  const isSkippable =
    (start[0] ?? 0) >> 4 === 5 && start[1] === 0x2a && start[2] === 0x4d && start[3] === 0x18;
  return isSkippable ? 'zstd' : 'none';
}

export interface OpenedStream {
  kind: Compression;
  /** Uncompressed bytes. Fails with `invalid` when the compressed data is corrupt, ends early or is over the limit. */
  stream: Readable;
}

export interface OpenCompressedOptions {
  /** Uncompressed bytes that are too many. */
  limit?: number;
}

/**
 * Looks at a stream's start and undoes its compression, if any, in bounded memory. xz and bzip2 take the programs of that
 * name. Destroying the returned stream destroys `source`, and a failure of `source` is passed on as it is.
 */
export async function openCompressed(
  source: Readable,
  { limit = Number.POSITIVE_INFINITY }: OpenCompressedOptions = {},
): Promise<OpenedStream> {
  const chunks = source[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  let start: Buffer = Buffer.alloc(0);
  while (start.length < LONGEST_MAGIC) {
    const { done, value } = await chunks.next();
    if (done === true) break;
    start = start.length === 0 ? value : Buffer.concat([start, value]);
  }
  const kind = detectCompression(start);
  const whole = resumed(start, chunks);
  if (kind === 'none' && limit === Number.POSITIVE_INFINITY) return { kind, stream: readable(whole) };
  return { kind, stream: readable(limited(await unpack(kind, readable(whole)), kind, limit)) };
}

async function unpack(kind: Compression, source: Readable): Promise<Readable> {
  switch (kind) {
    case 'none':
      return source;
    case 'gzip':
      return through(source, createGunzip({ chunkSize: CHUNK }));
    case 'zstd':
      return through(source, createZstdDecompress({ chunkSize: CHUNK }));
    default:
      return throughProgram(kind, source);
  }
}

function through(source: Readable, transform: Transform): Readable {
  pipeline(source, transform, () => {});
  return transform;
}

/** Longest that a program may take to unpack one stream. */
const PROGRAM_TIMEOUT_MS = 60 * 60 * 1000;

async function throughProgram(program: string, source: Readable): Promise<Readable> {
  let failure: Error | undefined;
  source.on('error', (error) => (failure = error));
  const options = { stdin: true, timeoutMs: PROGRAM_TIMEOUT_MS };
  const child = await spawnStreaming(program, ['-dc'], options).catch((error: unknown) => {
    source.destroy();
    throw unavailable(`unpacking this file takes the program "${program}": ${messageOf(error)}`, {
      cause: error,
    });
  });
  if (child.stdin !== undefined) pipeline(source, child.stdin, () => {});
  async function* output(): AsyncGenerator<Buffer> {
    try {
      yield* child.stdout as AsyncIterable<Buffer>;
    } catch (error) {
      // The program only sees its input end early: what ended it is the true cause.
      if (failure !== undefined) throw failure;
      throw isKind(error, 'internal')
        ? invalid(`corrupt ${program} data: ${messageOf(error)}`, { cause: error })
        : error;
    } finally {
      source.destroy();
    }
  }
  return readable(output());
}

async function* resumed(start: Buffer, chunks: AsyncIterator<Buffer>): AsyncGenerator<Buffer> {
  try {
    if (start.length > 0) yield start;
    for (let next = await chunks.next(); next.done !== true; next = await chunks.next()) yield next.value;
  } finally {
    await chunks.return?.();
  }
}

async function* limited(source: Readable, kind: Compression, limit: number): AsyncGenerator<Buffer> {
  let left = limit;
  try {
    for await (const chunk of source) {
      left -= (chunk as Buffer).length;
      if (left < 0) throw invalid(`the archive unpacks to more than ${limit} bytes`);
      yield chunk as Buffer;
    }
  } catch (error) {
    const code = errnoCode(error);
    if (code === undefined || !/^Z(STD)?_/.test(code)) throw error;
    throw invalid(`corrupt ${kind} data: ${messageOf(error)}`, { cause: error });
  }
}

function readable(chunks: AsyncIterable<Buffer>): Readable {
  return Readable.from(chunks, { objectMode: false, highWaterMark: CHUNK });
}
