/**
 * One member of a tar, whatever dialect wrote it.
 *
 * Names are **byte strings**: JavaScript strings in which each character is one byte (latin1), because a tar's names are
 * bytes and need not be UTF-8. They compare and sort as bytes do. `byteString` and `textOf` convert.
 */
export interface TarEntry {
  /** As written, with any leading `/` or `./`; a directory's may end with `/`. Never empty. */
  name: string;
  type: TarEntryType;
  /** Permission bits with setuid, setgid and sticky: 12 bits. */
  mode: number;
  uid: number;
  gid: number;
  /** Bytes of a file, holes included; 0 for everything else. */
  size: number;
  /** Whole seconds since 1970, negative before. */
  mtime: number;
  mtimeNanoseconds: number;
  /** A symlink's target, or the name of the member that a hard link repeats; else empty. */
  linkName: string;
  /** A device's numbers; else 0. */
  major: number;
  minor: number;
  xattrs?: ReadonlyMap<string, Buffer>;
  /** Where the data of a sparse file lies, ascending; all else is holes. */
  sparse?: readonly SparseRange[];
}

export type TarEntryType = 'file' | 'hardlink' | 'symlink' | 'character' | 'block' | 'directory' | 'fifo';

export interface SparseRange {
  offset: number;
  length: number;
}

/** The byte string of a text's UTF-8. */
export function byteString(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1');
}

/** A byte string read as UTF-8, for messages and for names that are shown. */
export function textOf(bytes: string): string {
  return Buffer.from(bytes, 'latin1').toString('utf8');
}

/** A byte string as a path that `node:fs` takes. */
export function pathOf(bytes: string): Buffer {
  return Buffer.from(bytes, 'latin1');
}

/** Bytes of file data that a member has in the tar: its size, less the holes. */
export function storedSize(entry: TarEntry): number {
  if (entry.sparse === undefined) return entry.size;
  return entry.sparse.reduce((sum, range) => sum + range.length, 0);
}
