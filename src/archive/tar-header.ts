import { invalid } from '#/base/errors.ts';

/** The 512-byte header block. Layouts: POSIX pax(1) "ustar Interchange Format"; GNU tar manual, "Basic Tar Format". */
export const BLOCK = 512;

export interface RawHeader {
  name: string;
  typeFlag: string;
  mode: number;
  uid: number;
  gid: number;
  size: number;
  mtime: number;
  linkName: string;
  major: number;
  minor: number;
  dialect: 'v7' | 'ustar' | 'gnu';
}

export function isZeroBlock(buffer: Buffer, at: number): boolean {
  if (buffer[at] !== 0) return false;
  for (let i = at; i < at + BLOCK; i++) if (buffer[i] !== 0) return false;
  return true;
}

/** Throws `invalid` for a block whose checksum or numbers are wrong. */
export function decodeHeader(buffer: Buffer, at: number): RawHeader {
  checkSum(buffer, at);
  const dialect = dialectOf(buffer, at);
  let name = text(buffer, at, 100);
  if (dialect === 'ustar') {
    // star puts atime and ctime where ustar has the end of the prefix, and marks it at the block's end.
    const isStar = text(buffer, at + 508, 4) === 'tar';
    const prefix = buffer[at + 345] === 0 ? '' : text(buffer, at + 345, isStar ? 131 : 155);
    if (prefix !== '') name = `${prefix}/${name}`;
  }
  const hasDevice = dialect !== 'v7';
  return {
    name,
    typeFlag: String.fromCharCode(buffer[at + 156] ?? 0),
    mode: number(buffer, at + 100, 8, 'mode'),
    uid: number(buffer, at + 108, 8, 'uid'),
    gid: number(buffer, at + 116, 8, 'gid'),
    size: number(buffer, at + 124, 12, 'size'),
    mtime: number(buffer, at + 136, 12, 'mtime'),
    linkName: buffer[at + 157] === 0 ? '' : text(buffer, at + 157, 100),
    major: hasDevice ? number(buffer, at + 329, 8, 'devmajor') : 0,
    minor: hasDevice ? number(buffer, at + 337, 8, 'devminor') : 0,
    dialect,
  };
}

function dialectOf(buffer: Buffer, at: number): RawHeader['dialect'] {
  const magic = buffer.toString('latin1', at + 257, at + 265);
  if (magic.startsWith('ustar\0')) return 'ustar';
  return magic === 'ustar  \0' ? 'gnu' : 'v7';
}

function checkSum(buffer: Buffer, at: number): void {
  const stated = number(buffer, at + 148, 8, 'checksum');
  // Four bytes at a time, in two halves that cannot overflow into each other; the sum's own field counts as blanks.
  let sum = 0;
  for (const word of wordsOf(buffer, at)) {
    if (word !== 0) sum += (word & 0x00ff00ff) + ((word >>> 8) & 0x00ff00ff);
  }
  let unsigned = (sum & 0xffff) + Math.floor(sum / 0x10000) + 8 * 0x20;
  for (let i = at + 148; i < at + 156; i++) unsigned -= buffer[i] ?? 0;
  if (stated !== unsigned && stated !== unsigned - highBytes(buffer, at) * 256) {
    throw invalid('archive/tar: invalid tar header');
  }
}

/** The block as 32-bit numbers: where it lies, or in a copy where its place is not one of theirs. */
function wordsOf(buffer: Buffer, at: number): Int32Array {
  const offset = buffer.byteOffset + at;
  if (offset % 4 === 0) return new Int32Array(buffer.buffer, offset, BLOCK / 4);
  return new Int32Array(Uint8Array.prototype.slice.call(buffer, at, at + BLOCK).buffer);
}

/** Some old tars summed signed characters: each byte above 127 then counts 256 less. */
function highBytes(buffer: Buffer, at: number): number {
  let count = 0;
  for (let i = at; i < at + BLOCK; i++) {
    const isSum = i >= at + 148 && i < at + 156;
    if ((buffer[i] ?? 0) > 127 && !isSum) count++;
  }
  return count;
}

function text(buffer: Buffer, at: number, length: number): string {
  let end = at;
  while (end < at + length && buffer[end] !== 0) end++;
  return buffer.toString('latin1', at, end);
}

/** A number field: octal digits, or base-256 (GNU) when the first bit is set. */
export function number(buffer: Buffer, at: number, length: number, field: string): number {
  const first = buffer[at] ?? 0;
  if (first >= 0x80) return base256(buffer, at, length, field);
  let value = 0;
  let i = at;
  const end = at + length;
  while (i < end && (buffer[i] === 0x20 || buffer[i] === 0)) i++;
  for (; i < end; i++) {
    const digit = (buffer[i] ?? 0) - 0x30;
    if (digit < 0 || digit > 7) break;
    value = value * 8 + digit;
  }
  for (; i < end; i++) {
    if (buffer[i] === 0) break;
    if (buffer[i] !== 0x20) throw invalid(`archive/tar: invalid tar header: ${field}`);
  }
  return value;
}

function base256(buffer: Buffer, at: number, length: number, field: string): number {
  const negative = ((buffer[at] ?? 0) & 0x40) !== 0;
  let value = BigInt((buffer[at] ?? 0) & 0x7f);
  for (let i = at + 1; i < at + length; i++) value = (value << 8n) | BigInt(buffer[i] ?? 0);
  if (negative) value -= 1n << BigInt(length * 8 - 1);
  const result = Number(value);
  if (!Number.isSafeInteger(result)) throw invalid(`archive/tar: invalid tar header: ${field}`);
  return result;
}

/** Fills in the checksum of a header block that is otherwise complete. */
export function sealHeader(block: Buffer): void {
  block.fill(0x20, 148, 156);
  let sum = 0;
  for (let i = 0; i < BLOCK; i++) sum += block[i] ?? 0;
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
}
