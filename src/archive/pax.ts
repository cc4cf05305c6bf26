import { invalid } from '#/base/errors.ts';
import type { SparseRange } from './tar-entry.ts';

/** What the extended headers of POSIX pax say of the member that follows. A value of `undefined` means "not said". */
export interface PaxRecords {
  path?: string;
  linkPath?: string;
  size?: number;
  uid?: number;
  gid?: number;
  mtime?: { seconds: number; nanoseconds: number };
  xattrs?: Map<string, Buffer>;
  sparse?: PaxSparse;
}

/** GNU tar manual, "Storing Sparse Files": formats 0.0, 0.1 and 1.0. */
export interface PaxSparse {
  major: number;
  minor: number;
  name?: string;
  realSize?: number;
  ranges: SparseRange[];
}

const XATTR = 'SCHILY.xattr.';

/** Reads the records of one extended header over those of `base` (the global ones). An empty value takes a record back. */
export function decodePax(data: Buffer, base: PaxRecords = {}): PaxRecords {
  // A sparse map belongs to the one member whose header states it.
  const records: PaxRecords = { ...base, sparse: undefined };
  if (base.xattrs !== undefined) records.xattrs = new Map(base.xattrs);
  let offset: number | undefined;
  let at = 0;
  while (at < data.length) {
    const space = data.indexOf(0x20, at);
    const digits = space < 0 ? '' : data.toString('latin1', at, space);
    const length = /^\d{1,10}$/.test(digits) ? Number(digits) : 0;
    const end = at + length;
    const equals = data.indexOf(0x3d, space);
    if (end <= space + 1 || end > data.length || data[end - 1] !== 0x0a || equals < 0 || equals >= end) {
      throw invalid('archive/tar: invalid tar header: malformed PAX record');
    }
    const key = data.toString('latin1', space + 1, equals);
    const value = data.subarray(equals + 1, end - 1);
    offset = apply(records, key, value, offset);
    at = end;
  }
  return records;
}

function apply(
  records: PaxRecords,
  key: string,
  value: Buffer,
  offset: number | undefined,
): number | undefined {
  switch (key) {
    case 'path':
      records.path = name(value);
      break;
    case 'linkpath':
      records.linkPath = name(value);
      break;
    case 'size':
      records.size = whole(key, value);
      break;
    case 'uid':
      records.uid = whole(key, value);
      break;
    case 'gid':
      records.gid = whole(key, value);
      break;
    case 'mtime':
      records.mtime = value.length === 0 ? undefined : time(value.toString('latin1'));
      break;
    default:
      if (key.startsWith(XATTR)) setXattr(records, key.slice(XATTR.length), value);
      else if (key.startsWith('GNU.sparse.')) return applySparse(records, key.slice(11), value, offset);
  }
  return offset;
}

function setXattr(records: PaxRecords, key: string, value: Buffer): void {
  // GNU tar writes `=` and `%` of an xattr's name as %3D and %25, for a record's key ends at the first `=`.
  const attribute = key.replace(/%3D|%25/g, (code) => (code === '%3D' ? '=' : '%'));
  records.xattrs ??= new Map();
  records.xattrs.set(attribute, Buffer.from(value));
}

/** Returns the offset of format 0.0, whose two records make one range. */
function applySparse(
  records: PaxRecords,
  key: string,
  value: Buffer,
  offset: number | undefined,
): number | undefined {
  const sparse = (records.sparse ??= { major: 0, minor: 0, ranges: [] });
  switch (key) {
    case 'major':
      sparse.major = whole(key, value) ?? 0;
      break;
    case 'minor':
      sparse.minor = whole(key, value) ?? 0;
      break;
    case 'name':
      sparse.name = name(value);
      break;
    case 'realsize':
    case 'size':
      sparse.realSize = whole(key, value);
      break;
    case 'offset':
      return whole(key, value);
    case 'numbytes':
      if (offset === undefined)
        throw invalid('archive/tar: invalid tar header: GNU.sparse.numbytes without offset');
      sparse.ranges.push({ offset, length: whole(key, value) ?? 0 });
      return undefined;
    case 'map': {
      const numbers = value.toString('latin1').split(',');
      for (let i = 0; i + 1 < numbers.length; i += 2) {
        sparse.ranges.push({
          offset: decimal(key, numbers[i] ?? ''),
          length: decimal(key, numbers[i + 1] ?? ''),
        });
      }
      break;
    }
  }
  return offset;
}

function name(value: Buffer): string | undefined {
  if (value.length === 0) return undefined;
  if (value.includes(0)) throw invalid('archive/tar: invalid tar header: NUL in a name');
  return value.toString('latin1');
}

function whole(key: string, value: Buffer): number | undefined {
  return value.length === 0 ? undefined : decimal(key, value.toString('latin1'));
}

export function decimal(key: string, digits: string): number {
  const value = /^\d{1,16}$/.test(digits) ? Number(digits) : Number.NaN;
  if (!Number.isSafeInteger(value)) throw invalid(`archive/tar: invalid tar header: ${key} is "${digits}"`);
  return value;
}

/** `-1.25` is 1.25 s before 1970: -2 s and 750,000,000 ns. */
function time(value: string): { seconds: number; nanoseconds: number } {
  const match = /^(-?)(\d{1,15})(?:\.(\d*))?$/.exec(value);
  if (match === null) throw invalid(`archive/tar: invalid tar header: mtime is "${value}"`);
  const [, sign, whole = '0', fraction = ''] = match;
  const seconds = Number(whole);
  const nanoseconds = Number(fraction.slice(0, 9).padEnd(9, '0'));
  if (sign === '') return { seconds, nanoseconds };
  return nanoseconds === 0
    ? { seconds: 0 - seconds, nanoseconds: 0 }
    : { seconds: -seconds - 1, nanoseconds: 1e9 - nanoseconds };
}

/** One record, `LENGTH KEY=VALUE\n`, where the length counts its own digits. */
export function encodePaxRecord(key: string, value: Buffer): Buffer {
  const rest = Buffer.concat([Buffer.from(` ${key}=`, 'latin1'), value, Buffer.from('\n')]);
  let length = rest.length + 1;
  while (String(length).length + rest.length !== length) length = String(length).length + rest.length;
  return Buffer.concat([Buffer.from(String(length)), rest]);
}

export function encodeXattrKey(attribute: string): string {
  return XATTR + attribute.replaceAll('%', '%25').replaceAll('=', '%3D');
}

export function encodeTime(seconds: number, nanoseconds: number): string {
  if (nanoseconds === 0) return String(seconds);
  const negative = seconds < 0;
  const whole = negative ? -(seconds + 1) : seconds;
  const fraction = negative ? 1e9 - nanoseconds : nanoseconds;
  return `${negative ? '-' : ''}${whole}.${String(fraction).padStart(9, '0').replace(/0+$/, '')}`;
}
