import type { GuestEntry } from '../runtime.ts';
import { decodeRecords, Records, TAG } from './records.ts';

const STAT_SIZE = 40;
const S_IFMT = 0o170000;
const S_IFREG = 0o100000;
/** More than names, links and extended attributes of one file ever take; the guest's word is not to fill our memory. */
const HEADER_LIMIT = 1 << 20;
const PIECE_LIMIT = 1 << 20;
const PIECE = 64 << 10;

/** Reads a byte stream in pieces of wanted lengths. */
class ByteSource {
  readonly #chunks: AsyncIterator<Buffer>;
  #rest: Buffer = Buffer.alloc(0);

  constructor(chunks: AsyncIterable<Buffer>) {
    this.#chunks = chunks[Symbol.asyncIterator]();
  }

  /** Undefined at the end; throws when the stream ends within. */
  async take(length: number): Promise<Buffer | undefined> {
    if (this.#rest.length >= length) {
      const taken = this.#rest.subarray(0, length);
      this.#rest = this.#rest.subarray(length);
      return taken;
    }
    const parts = [this.#rest];
    let have = this.#rest.length;
    while (have < length) {
      const next = await this.#chunks.next();
      if (next.done === true) {
        if (have === 0) return undefined;
        throw new Error('A tree of a guest is cut off');
      }
      parts.push(next.value);
      have += next.value.length;
    }
    const whole = Buffer.concat(parts);
    this.#rest = whole.subarray(length);
    return whole.subarray(0, length);
  }

  async takeU32(): Promise<number | undefined> {
    return (await this.take(4))?.readUInt32BE(0);
  }
}

/** The entries in what TREE sends (protocol.md). What a consumer leaves of a file's data is passed over. */
export async function* decodeEntries(
  chunks: AsyncIterable<Buffer>,
  { bare = false }: { bare?: boolean } = {},
): AsyncGenerator<GuestEntry> {
  const source = new ByteSource(chunks);
  for (let length = await source.takeU32(); length !== undefined; length = await source.takeU32()) {
    if (length > HEADER_LIMIT) throw new Error('An entry of a guest is too long');
    const header = await source.take(length);
    if (header === undefined) throw new Error('A tree of a guest is cut off');
    const entry = decodeEntry(header);
    if (bare || !hasData(entry)) {
      yield entry;
      continue;
    }
    const data = fileData(source, entry);
    yield { ...entry, data };
    // Nothing when it was read to its end.
    for await (const _ of data);
  }
}

function hasData({ mode, hardLink }: GuestEntry): boolean {
  return (mode & S_IFMT) === S_IFREG && hardLink === undefined;
}

async function* fileData(source: ByteSource, { name, size }: GuestEntry): AsyncGenerator<Buffer> {
  let left = size;
  for (;;) {
    const length = await source.takeU32();
    if (length === undefined || length > PIECE_LIMIT) throw new Error('A tree of a guest is cut off');
    if (length === 0) break;
    const piece = await source.take(length);
    if (piece === undefined) throw new Error('A tree of a guest is cut off');
    // A file that grows meanwhile is cut, as GNU tar does.
    const wanted = piece.subarray(0, left);
    left -= wanted.length;
    if (wanted.length > 0) yield wanted;
  }
  if (left > 0) throw new Error(`"${name}" ended ${left} bytes before its end`);
}

function decodeEntry(header: Buffer): GuestEntry {
  const entry: GuestEntry = {
    name: '',
    mode: 0,
    uid: 0,
    gid: 0,
    size: 0,
    mtime: 0,
    mtimeNanoseconds: 0,
    major: 0,
    minor: 0,
  };
  for (const { tag, value } of decodeRecords(header)) {
    if (tag === TAG.name) entry.name = value.toString('latin1');
    else if (tag === TAG.link) entry.link = value.toString('latin1');
    else if (tag === TAG.hardLink) entry.hardLink = value.toString('latin1');
    else if (tag === TAG.stat && value.length === STAT_SIZE) Object.assign(entry, decodeStat(value));
    else if (tag === TAG.xattr) {
      const end = value.indexOf(0);
      if (end > 0) (entry.xattrs ??= new Map()).set(value.toString('utf8', 0, end), value.subarray(end + 1));
    }
  }
  return entry;
}

function decodeStat(value: Buffer): Partial<GuestEntry> {
  return {
    mode: value.readUInt32BE(0),
    uid: value.readUInt32BE(4),
    gid: value.readUInt32BE(8),
    size: Number(value.readBigUInt64BE(12)),
    mtime: Number(value.readBigInt64BE(20)),
    mtimeNanoseconds: value.readUInt32BE(28),
    major: value.readUInt32BE(32),
    minor: value.readUInt32BE(36),
  };
}

/** What PLANT takes. */
export async function* encodeEntries(entries: AsyncIterable<GuestEntry>): AsyncGenerator<Buffer> {
  for await (const entry of entries) {
    const records = encodeEntry(entry);
    yield withLength(records);
    if (!hasData(entry)) continue;
    for await (const chunk of entry.data ?? []) {
      for (let at = 0; at < chunk.length; at += PIECE) yield withLength(chunk.subarray(at, at + PIECE));
    }
    yield withLength(Buffer.alloc(0));
  }
}

function encodeEntry(entry: GuestEntry): Buffer {
  const stat = Buffer.alloc(STAT_SIZE);
  stat.writeUInt32BE(entry.mode, 0);
  stat.writeUInt32BE(entry.uid, 4);
  stat.writeUInt32BE(entry.gid, 8);
  stat.writeBigUInt64BE(BigInt(entry.size), 12);
  stat.writeBigInt64BE(BigInt(entry.mtime), 20);
  stat.writeUInt32BE(entry.mtimeNanoseconds, 28);
  stat.writeUInt32BE(entry.major, 32);
  stat.writeUInt32BE(entry.minor, 36);
  const records = new Records().add(TAG.name, Buffer.from(entry.name, 'latin1')).add(TAG.stat, stat);
  if (entry.link !== undefined) records.add(TAG.link, Buffer.from(entry.link, 'latin1'));
  if (entry.hardLink !== undefined) records.add(TAG.hardLink, Buffer.from(entry.hardLink, 'latin1'));
  for (const [name, value] of entry.xattrs ?? [])
    records.add(TAG.xattr, Buffer.concat([Buffer.from(`${name}\0`), value]));
  return records.encode();
}

function withLength(bytes: Buffer): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length, 0);
  return Buffer.concat([length, bytes]);
}
