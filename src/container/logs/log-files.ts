import { type FileHandle, open } from 'node:fs/promises';
import { pipeline } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { errnoCode } from '#/base/errors.ts';
import { LineSplitter } from './line-splitter.ts';

/** One file of a log, open: the current one, or one that was rotated away (`path.1`, or `path.1.gz` once it is compressed). */
export interface LogFile {
  handle: FileHandle;
  compressed: boolean;
  inode: bigint;
  /** Nanoseconds since 1970: when the last record was written, which compressing keeps. */
  modified: bigint;
  size: number;
}

const CHUNK = 64 << 10;
// Docker's own limit for rotated files; a gap in the numbers ends the search sooner.
const MOST_FILES = 1000;
const MOST_TRIES = 20;

/**
 * All files of a log, newest first, none twice and none missing: opened anew when the monitor rotated in between. Empty when nothing
 * was ever written.
 */
export async function openLogFiles(path: string): Promise<LogFile[]> {
  for (let tries = 1; ; tries++) {
    const { files, names } = await openAll(path);
    if (tries === MOST_TRIES || !(await wasRotating(path, files, names))) return files;
    await closeLogFiles(files);
  }
}

/** What has a name now, and how many names there are: for a moment, or since a crash, a file that is rotated has two. */
async function openAll(path: string): Promise<{ files: LogFile[]; names: number }> {
  const files: LogFile[] = [];
  for (let number = 0; number <= MOST_FILES; number++) {
    const file = await openNumbered(path, number);
    if (file === undefined) return { files, names: number };
    if (file.inode === files.at(-1)?.inode) await file.handle.close();
    else files.push(file);
  }
  return { files, names: MOST_FILES + 1 };
}

/** The newest has another name since, or the others were just being given theirs: the oldest first, which leaves a gap that wanders. */
async function wasRotating(path: string, files: readonly LogFile[], names: number): Promise<boolean> {
  const behindGap = await openNumbered(path, names + 1);
  await behindGap?.handle.close();
  return behindGap !== undefined || isRotated(path, files[0]);
}

export async function closeLogFiles(files: readonly LogFile[]): Promise<void> {
  await Promise.all(files.map(({ handle }) => handle.close()));
}

/** Whether the file is no longer the one that has the name. */
export async function isRotated(path: string, file: LogFile | undefined): Promise<boolean> {
  const current = await openIfThere(path, false);
  if (current === undefined) return false;
  await current.handle.close();
  return current.inode !== file?.inode;
}

async function openNumbered(path: string, number: number): Promise<LogFile | undefined> {
  if (number === 0) return openIfThere(path, false);
  // While it is being compressed both are there, and the plain one is whole.
  return (await openIfThere(`${path}.${number}`, false)) ?? (await openIfThere(`${path}.${number}.gz`, true));
}

async function openIfThere(path: string, compressed: boolean): Promise<LogFile | undefined> {
  let handle: FileHandle;
  try {
    handle = await open(path, 'r');
  } catch (error) {
    if (errnoCode(error) === 'ENOENT') return undefined;
    throw error;
  }
  const { ino, mtimeNs, size } = await handle.stat({ bigint: true });
  return { handle, compressed, inode: ino, modified: mtimeNs, size: Number(size) };
}

/** The lines of a file from an offset (of the content) to its end. */
export async function* logLines(file: LogFile, start = 0): AsyncGenerator<Buffer> {
  const splitter = new LineSplitter();
  const pieces = file.compressed ? unpacked(file.handle) : piecesFrom(file.handle, start);
  for await (const piece of pieces) yield* splitter.push(piece);
}

/** The bytes from a position to the end that the file has by then. */
export async function* piecesFrom(handle: FileHandle, start: number): AsyncGenerator<Buffer> {
  for (let position = start; ;) {
    const piece = await readPiece(handle, position);
    if (piece === undefined) return;
    position += piece.length;
    yield piece;
  }
}

export async function readPiece(handle: FileHandle, position: number): Promise<Buffer | undefined> {
  const chunk = Buffer.allocUnsafe(CHUNK);
  const { bytesRead } = await handle.read(chunk, 0, CHUNK, position);
  return bytesRead === 0 ? undefined : chunk.subarray(0, bytesRead);
}

async function* unpacked(handle: FileHandle): AsyncGenerator<Buffer> {
  const packed = handle.createReadStream({ start: 0, autoClose: false });
  // What can be unpacked of a damaged file is all there is of it.
  const plain = pipeline(packed, createGunzip(), () => {});
  try {
    for await (const piece of plain) yield piece as Buffer;
  } catch (error) {
    if (!errnoCode(error)?.startsWith('Z_')) throw error;
  }
}

/** Where a file's last `count` lines start, and how many there are. */
export async function findLastLines(
  file: LogFile,
  count: number,
): Promise<{ skip: LogStart; found: number }> {
  return file.compressed ? countFromStart(file, count) : lookFromEnd(file, count);
}

/** What of a file is left out: so many bytes, or of a compressed one so many lines. */
export interface LogStart {
  bytes: number;
  lines: number;
}

async function countFromStart(file: LogFile, count: number): Promise<{ skip: LogStart; found: number }> {
  let total = 0;
  for await (const piece of unpacked(file.handle)) {
    for (let at = piece.indexOf(0x0a); at !== -1; at = piece.indexOf(0x0a, at + 1)) total++;
  }
  return { skip: { bytes: 0, lines: Math.max(0, total - count) }, found: Math.min(total, count) };
}

async function lookFromEnd(
  { handle, size }: LogFile,
  count: number,
): Promise<{ skip: LogStart; found: number }> {
  const chunk = Buffer.allocUnsafe(CHUNK);
  let found = 0;
  for (let end = size; end > 0;) {
    const start = Math.max(0, end - CHUNK);
    const { bytesRead } = await handle.read(chunk, 0, end - start, start);
    for (let at = bytesRead - 1; at >= 0; at--) {
      // The newline that ends the file's last line starts no further one.
      if (chunk[at] !== 0x0a || start + at === size - 1) continue;
      if (++found === count) return { skip: { bytes: start + at + 1, lines: 0 }, found };
    }
    end = start;
  }
  return { skip: { bytes: 0, lines: 0 }, found: size > 0 ? found + 1 : 0 };
}
