import { Readable } from 'node:stream';
import { internal } from '#/base/errors.ts';
import { encodePaxRecord, encodeTime, encodeXattrKey } from './pax.ts';
import { fillHoles } from './holes.ts';
import { inPieces } from '#/base/pieces.ts';
import type { TarEntry, TarEntryType } from './tar-entry.ts';
import { BLOCK, sealHeader } from './tar-header.ts';

/** What a member needs to be written; what is left out is 0, empty, or 0644 (directories and links 0755). */
export type NewTarEntry = Pick<TarEntry, 'name'> & Partial<TarEntry>;

export interface NewTarMember {
  entry: NewTarEntry;
  /** A file's stored bytes: exactly `entry.size`, which may be left out for a Buffer; of a sparse file its ranges. */
  data?: Buffer | AsyncIterable<Buffer>;
}

const TYPE_FLAGS: Record<TarEntryType, string> = {
  file: '0',
  hardlink: '1',
  symlink: '2',
  character: '3',
  block: '4',
  directory: '5',
  fifo: '6',
};

/** A tar of these members, with its end. Headers are ustar's, with pax's extended ones where ustar cannot say it. */
export function writeTar(members: AsyncIterable<NewTarMember> | Iterable<NewTarMember>): Readable {
  return Readable.from(inPieces(encode(members)), { objectMode: false });
}

async function* encode(
  members: AsyncIterable<NewTarMember> | Iterable<NewTarMember>,
): AsyncGenerator<Buffer> {
  for await (const { entry, data } of members) {
    const size = entry.size ?? (Buffer.isBuffer(data) ? data.length : 0);
    yield encodeHeader({ ...entry, size });
    if ((entry.type ?? 'file') !== 'file' || size === 0) continue;
    let written = 0;
    for await (const chunk of fillHoles(chunksOf(data), { ...entry, size })) {
      written += chunk.length;
      yield chunk;
    }
    if (written !== size) throw internal(`"${entry.name}" has ${written} bytes where ${size} were announced`);
    yield zeros(-size & (BLOCK - 1));
  }
  yield zeros(2 * BLOCK);
}

function zeros(length: number): Buffer {
  return Buffer.alloc(length);
}

function chunksOf(data: NewTarMember['data']): AsyncIterable<Buffer> | Iterable<Buffer> {
  return data === undefined ? [] : Buffer.isBuffer(data) ? [data] : data;
}

/** The header block of a member, with an extended header before it where one is needed. */
export function encodeHeader(entry: NewTarEntry): Buffer {
  const header = new HeaderBlock();
  const type = entry.type ?? 'file';
  header.name(entry.name);
  header.number('mode', 100, 8, entry.mode ?? (type === 'file' ? 0o644 : 0o755));
  header.number('uid', 108, 8, entry.uid ?? 0);
  header.number('gid', 116, 8, entry.gid ?? 0);
  header.number('size', 124, 12, type === 'file' ? (entry.size ?? 0) : 0);
  header.time(entry.mtime ?? 0, entry.mtimeNanoseconds ?? 0);
  header.text('linkpath', 157, 100, entry.linkName ?? '');
  header.number('SCHILY.devmajor', 329, 8, entry.major ?? 0);
  header.number('SCHILY.devminor', 337, 8, entry.minor ?? 0);
  for (const [key, value] of entry.xattrs ?? []) header.record(encodeXattrKey(key), value);
  return header.seal(TYPE_FLAGS[type], entry.name);
}

class HeaderBlock {
  readonly #block = Buffer.alloc(BLOCK);
  readonly #records: Buffer[] = [];

  name(name: string): void {
    if (name.length <= 100) return void this.#block.write(name, 0, 'latin1');
    // The prefix is joined with a `/`, and neither part may be empty or longer than its field.
    const slash = name.lastIndexOf('/', 155);
    if (slash > 0 && name.length - slash - 1 <= 100 && slash < name.length - 1) {
      this.#block.write(name.slice(0, slash), 345, 'latin1');
      this.#block.write(name.slice(slash + 1), 0, 'latin1');
      return;
    }
    this.text('path', 0, 100, name);
  }

  text(key: string, at: number, length: number, value: string): void {
    this.#block.write(value.slice(0, length), at, 'latin1');
    if (value.length > length) this.record(key, Buffer.from(value, 'latin1'));
  }

  /** Octal with a NUL behind; a record where that does not do. */
  number(key: string, at: number, length: number, value: number): void {
    const fits = value >= 0 && value < 8 ** (length - 1);
    const digits = (fits ? value : 0).toString(8).padStart(length - 1, '0');
    this.#block.write(`${digits}\0`, at, 'latin1');
    if (!fits) this.record(key, Buffer.from(String(value)));
  }

  time(seconds: number, nanoseconds: number): void {
    const plain = nanoseconds === 0 && seconds >= 0 && seconds < 8 ** 11;
    this.number('', 136, 12, plain ? seconds : Math.min(Math.max(seconds, 0), 8 ** 11 - 1));
    if (!plain) this.record('mtime', Buffer.from(encodeTime(seconds, nanoseconds)));
  }

  record(key: string, value: Buffer): void {
    this.#records.push(encodePaxRecord(key, value));
  }

  seal(typeFlag: string, name: string): Buffer {
    this.#block.write(typeFlag, 156, 'latin1');
    this.#block.write('ustar\x0000', 257, 'latin1');
    sealHeader(this.#block);
    if (this.#records.length === 0) return this.#block;
    const records = Buffer.concat(this.#records);
    const extended = new HeaderBlock();
    const base = name.replace(/\/+$/, '').split('/').pop() ?? '';
    extended.text('', 0, 100, `PaxHeaders.0/${base}`.slice(0, 100));
    extended.number('', 100, 8, 0o644);
    extended.number('', 108, 8, 0);
    extended.number('', 116, 8, 0);
    extended.number('', 124, 12, records.length);
    extended.number('', 136, 12, 0);
    return Buffer.concat([
      extended.seal('x', ''),
      records,
      zeros(-records.length & (BLOCK - 1)),
      this.#block,
    ]);
  }
}
