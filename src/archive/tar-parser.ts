import { invalid } from '#/base/errors.ts';
import { DEFAULT_LIMITS, type TarLimits } from './limits.ts';
import { decodePax, type PaxRecords } from './pax.ts';
import { checkSparseMap, readOldGnuEntries, SparseMapReader } from './sparse-map.ts';
import type { SparseRange, TarEntry, TarEntryType } from './tar-entry.ts';
import { BLOCK, decodeHeader, isZeroBlock, number, type RawHeader } from './tar-header.ts';

/** What a parser tells. All calls come from within `push` and `end`, in the order of the tar's bytes. */
export interface TarHandler {
  /** A member begins. */
  entry(entry: TarEntry): void;
  /** Stored bytes of the file that began last: `buffer` from `start` to `end`, valid during the call only. */
  data(buffer: Buffer, start: number, end: number): void;
  /** The file's stored bytes are complete. Called for files only, at once for those that store none. */
  fileEnd(): void;
  /** Bytes that are no file's data: headers, padding, the end. With `data` they are the whole tar. */
  framing?(buffer: Buffer, start: number, end: number): void;
}

const TYPES: Record<string, TarEntryType> = {
  '0': 'file',
  '\0': 'file',
  '7': 'file',
  S: 'file',
  '1': 'hardlink',
  '2': 'symlink',
  '3': 'character',
  '4': 'block',
  '5': 'directory',
  D: 'directory',
  '6': 'fifo',
};

type State = 'header' | 'extended' | 'oldSparse' | 'sparseMap' | 'data' | 'skip' | 'end';

/**
 * Reads a tar that is pushed into it in pieces of any size, and keeps none of it. Understands v7, ustar, star, POSIX pax and
 * GNU, and mixtures. As in Go's archive/tar (which is what Docker reads with), two zero blocks end the archive, whatever
 * follows, and so does the end of the stream between two members.
 */
export class TarParser {
  readonly #handler: TarHandler;
  readonly #limits: TarLimits;
  readonly #block = Buffer.alloc(BLOCK);
  #filled = 0;
  #state: State = 'header';
  /** Bytes to come in the states `extended`, `data` and `skip`. */
  #left = 0;
  #padding = 0;
  #zeroBlocks = 0;
  #members = 0;
  #dataTotal = 0;

  #extendedType = '';
  #extended: Buffer[] = [];
  #globals: PaxRecords = {};
  #pax: PaxRecords | undefined;
  #longName: string | undefined;
  #longLink: string | undefined;

  #entry: TarEntry | undefined;
  #ranges: SparseRange[] = [];
  #map: SparseMapReader | undefined;

  constructor(handler: TarHandler, limits: Partial<TarLimits> = {}) {
    this.#handler = handler;
    this.#limits = { ...DEFAULT_LIMITS, ...limits };
  }

  /** Throws `invalid` for what is no tar or over the limits; after that the parser is of no more use. */
  push(chunk: Buffer): void {
    let at = 0;
    let framingFrom = 0;
    while (at < chunk.length) {
      const rest = chunk.length - at;
      switch (this.#state) {
        case 'header':
        case 'oldSparse':
        case 'sparseMap':
          if (this.#filled === 0 && rest >= BLOCK) {
            this.#takeBlock(chunk, at);
            at += BLOCK;
          } else {
            const length = Math.min(BLOCK - this.#filled, rest);
            chunk.copy(this.#block, this.#filled, at, at + length);
            at += length;
            this.#filled += length;
            if (this.#filled < BLOCK) break;
            this.#filled = 0;
            this.#takeBlock(this.#block, 0);
          }
          // A file that stores nothing ends here: its framing goes first, so that the order is the tar's.
          if (this.#storesNothing()) {
            this.#frame(chunk, framingFrom, at);
            framingFrom = at;
            this.#endFile();
          }
          break;
        case 'data': {
          this.#frame(chunk, framingFrom, at);
          const length = Math.min(this.#left, rest);
          this.#handler.data(chunk, at, at + length);
          at += length;
          framingFrom = at;
          this.#left -= length;
          if (this.#left === 0) this.#endFile();
          break;
        }
        case 'extended': {
          const length = Math.min(this.#left, rest);
          this.#extended.push(Buffer.from(chunk.subarray(at, at + length)));
          at += length;
          this.#left -= length;
          if (this.#left === 0) this.#endExtended();
          break;
        }
        case 'skip': {
          const length = Math.min(this.#left, rest);
          at += length;
          this.#left -= length;
          if (this.#left === 0) this.#state = 'header';
          break;
        }
        case 'end':
          at = chunk.length;
      }
    }
    this.#frame(chunk, framingFrom, at);
  }

  /** The stream is over. Throws `invalid` when a member is not complete. */
  end(): void {
    const betweenMembers = this.#state === 'header' && this.#filled === 0 && !this.#hasPending();
    const onlyPaddingMissing = this.#state === 'skip' && this.#left < BLOCK;
    const tornEnd = this.#state === 'header' && this.#zeroBlocks > 0;
    if (this.#state === 'end' || betweenMembers || onlyPaddingMissing || tornEnd) return;
    throw invalid('archive/tar: unexpected EOF: the archive is truncated');
  }

  #storesNothing(): boolean {
    return this.#entry !== undefined && this.#state === 'data' && this.#left === 0;
  }

  #hasPending(): boolean {
    return this.#pax !== undefined || this.#longName !== undefined || this.#longLink !== undefined;
  }

  #frame(buffer: Buffer, start: number, end: number): void {
    if (end > start) this.#handler.framing?.(buffer, start, end);
  }

  #takeBlock(buffer: Buffer, at: number): void {
    if (this.#state === 'oldSparse') return this.#takeOldSparse(buffer, at);
    if (this.#state === 'sparseMap') return this.#takeSparseMap(buffer, at);
    if (isZeroBlock(buffer, at)) {
      if (++this.#zeroBlocks === 2) this.#state = 'end';
      return;
    }
    if (this.#zeroBlocks > 0) throw invalid('archive/tar: invalid tar header: data after a lone zero block');
    this.#takeHeader(buffer, at);
  }

  #takeHeader(buffer: Buffer, at: number): void {
    const raw = decodeHeader(buffer, at);
    if (raw.size < 0) throw invalid('archive/tar: invalid tar header: negative size');
    switch (raw.typeFlag) {
      case 'x':
      case 'X':
      case 'g':
      case 'L':
      case 'K':
        return this.#beginExtended(raw);
      case 'V':
        this.#forget();
        this.#countData(raw.size);
        return this.#skip(padded(raw.size));
    }
    const type = TYPES[raw.typeFlag];
    if (type === undefined) {
      throw invalid(`unhandled tar header type ${raw.typeFlag.charCodeAt(0)} of "${raw.name}"`);
    }
    if (++this.#members > this.#limits.members) {
      throw invalid(`archive/tar: more than ${this.#limits.members} members`);
    }
    this.#beginMember(raw, type, buffer, at);
  }

  #beginExtended(raw: RawHeader): void {
    if (raw.size > this.#limits.extendedHeader) {
      throw invalid(`archive/tar: extended header of ${raw.size} bytes, over ${this.#limits.extendedHeader}`);
    }
    this.#extendedType = raw.typeFlag;
    this.#extended = [];
    this.#left = raw.size;
    this.#padding = padded(raw.size) - raw.size;
    this.#state = 'extended';
    if (raw.size === 0) this.#endExtended();
  }

  #endExtended(): void {
    const data = Buffer.concat(this.#extended);
    this.#extended = [];
    switch (this.#extendedType) {
      case 'g':
        this.#globals = decodePax(data, this.#globals);
        break;
      case 'L':
        this.#longName = cString(data);
        break;
      case 'K':
        this.#longLink = cString(data);
        break;
      default:
        this.#pax = decodePax(data, this.#pax ?? this.#globals);
    }
    this.#skip(this.#padding);
  }

  #beginMember(raw: RawHeader, type: TarEntryType, buffer: Buffer, at: number): void {
    const pax = this.#pax ?? this.#globals;
    const name = pax.sparse?.name ?? pax.path ?? this.#longName ?? raw.name;
    const isFile = type === 'file' && !(raw.dialect === 'v7' && name.endsWith('/'));
    const entry: TarEntry = {
      name,
      type: type === 'file' && !isFile ? 'directory' : type,
      mode: raw.mode & 0o7777,
      uid: this.#id('uid', pax.uid ?? raw.uid),
      gid: this.#id('gid', pax.gid ?? raw.gid),
      size: 0,
      mtime: pax.mtime?.seconds ?? raw.mtime,
      mtimeNanoseconds: pax.mtime?.nanoseconds ?? 0,
      linkName: '',
      major: 0,
      minor: 0,
    };
    if (type === 'symlink' || type === 'hardlink')
      entry.linkName = pax.linkPath ?? this.#longLink ?? raw.linkName;
    if (type === 'character' || type === 'block') {
      entry.major = raw.major;
      entry.minor = raw.minor;
    }
    if (pax.xattrs !== undefined && pax.xattrs.size > 0) {
      entry.xattrs = pax.xattrs;
      let bytes = 0;
      for (const [key, value] of pax.xattrs) bytes += key.length + value.length;
      if (bytes > this.#limits.xattrs) throw invalid(`archive/tar: "${name}" has ${bytes} bytes of xattrs`);
    }
    if (name === '') throw invalid('archive/tar: invalid tar header: a member without a name');
    if (name.length > this.#limits.pathLength || entry.linkName.length > this.#limits.pathLength) {
      throw invalid(`file name too long: a path of more than ${this.#limits.pathLength} bytes`);
    }
    const sparse = pax.sparse;
    this.#forget();
    // pax's own archives may give links and directories a size; as for Go and GNU tar nothing is stored for them.
    const stored = isFile || raw.typeFlag === 'D' ? (pax.size ?? raw.size) : 0;
    this.#countData(stored);
    if (!isFile) {
      this.#handler.entry(entry);
      return this.#skip(padded(stored));
    }
    entry.size = stored;
    this.#entry = entry;
    this.#left = stored;
    this.#padding = padded(stored) - stored;
    if (raw.typeFlag === 'S') return this.#beginOldSparse(entry, buffer, at);
    if (sparse !== undefined) return this.#beginPaxSparse(entry, sparse);
    this.#beginData(entry);
  }

  #countData(bytes: number): void {
    this.#dataTotal += bytes;
    if (this.#dataTotal > this.#limits.data) {
      throw invalid(`archive/tar: more than the ${this.#limits.data} bytes of data that there is room for`);
    }
  }

  #id(field: string, value: number): number {
    if (value < 0 || value > 0xffffffff) throw invalid(`archive/tar: invalid tar header: ${field}`);
    return value;
  }

  #forget(): void {
    this.#pax = undefined;
    this.#longName = undefined;
    this.#longLink = undefined;
  }

  #skip(bytes: number): void {
    this.#left = bytes;
    this.#state = bytes === 0 ? 'header' : 'skip';
  }

  #beginData(entry: TarEntry): void {
    this.#state = 'data';
    this.#handler.entry(entry);
  }

  #endFile(): void {
    this.#entry = undefined;
    this.#handler.fileEnd();
    this.#skip(this.#padding);
  }

  #beginOldSparse(entry: TarEntry, buffer: Buffer, at: number): void {
    this.#ranges = [];
    readOldGnuEntries(buffer, at + 386, 4, this.#ranges);
    entry.size = number(buffer, at + 483, 12, 'realsize');
    if (buffer[at + 482] === 0) this.#endSparse(entry);
    else this.#state = 'oldSparse';
  }

  #takeOldSparse(buffer: Buffer, at: number): void {
    readOldGnuEntries(buffer, at, 21, this.#ranges);
    if (this.#ranges.length > this.#limits.sparseRanges) {
      throw invalid(`archive/tar: sparse file of more than ${this.#limits.sparseRanges} ranges`);
    }
    if (buffer[at + 504] === 0 && this.#entry !== undefined) this.#endSparse(this.#entry);
  }

  #beginPaxSparse(entry: TarEntry, sparse: NonNullable<PaxRecords['sparse']>): void {
    this.#ranges = sparse.ranges;
    entry.size = sparse.realSize ?? entry.size;
    if (sparse.major !== 1) return this.#endSparse(entry);
    if (this.#left === 0) throw invalid('archive/tar: invalid tar header: sparse file without a map');
    this.#map = new SparseMapReader(this.#limits.sparseRanges);
    this.#ranges = this.#map.ranges;
    this.#state = 'sparseMap';
  }

  #takeSparseMap(buffer: Buffer, at: number): void {
    this.#left -= BLOCK;
    const complete = this.#map?.push(buffer, at) ?? true;
    if (this.#left < 0 || (this.#left === 0 && !complete)) {
      throw invalid('archive/tar: invalid tar header: the sparse map is longer than the member');
    }
    if (complete && this.#entry !== undefined) this.#endSparse(this.#entry);
  }

  #endSparse(entry: TarEntry): void {
    checkSparseMap(this.#ranges, entry.size, this.#left);
    entry.sparse = this.#ranges.filter((range) => range.length > 0);
    this.#ranges = [];
    this.#map = undefined;
    this.#beginData(entry);
  }
}

function padded(size: number): number {
  return Math.ceil(size / BLOCK) * BLOCK;
}

function cString(data: Buffer): string {
  const end = data.indexOf(0);
  return data.toString('latin1', 0, end < 0 ? data.length : end);
}
