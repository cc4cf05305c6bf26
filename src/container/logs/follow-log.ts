import { readSync } from 'node:fs';
import { LineSplitter } from './line-splitter.ts';
import { LogBell } from './log-bell.ts';
import { closeLogFiles, isRotated, type LogFile, logLines, openLogFiles, readPiece } from './log-files.ts';

/** Where all followers read to; none keeps it over a turn of the event loop. */
const fresh = Buffer.allocUnsafe(32 << 10);

/**
 * The lines of a log's current file and of all that follow it, until `ended` resolves and what was written before that is read. The
 * first file stays the caller's to close.
 */
export async function* followLog(
  path: string,
  first: LogFile | undefined,
  start: number,
  ended: Promise<unknown>,
  signal?: AbortSignal,
): AsyncGenerator<Buffer> {
  await using file = new CurrentFile(first, start);
  using bell = new LogBell(path, signal);
  let over = false;
  const end = async (): Promise<void> => {
    await ended;
    over = true;
    bell.ring();
  };
  void end();
  for (;;) {
    if (signal?.aborted) return;
    // Asked before reading: what is written before the end is then read in this round.
    const wasOver = over;
    const lines = await file.read();
    if (lines !== undefined) {
      yield* lines;
      continue;
    }
    if (await isRotated(path, file.file)) {
      // The writer renames before it writes on, so the old file is whole by now; once more for what came in between.
      for (let rest = await file.read(); rest !== undefined; rest = await file.read()) yield* rest;
      yield* overtake(path, file);
      bell.watch();
      continue;
    }
    if (wasOver) return;
    yield* freshLines(file, bell);
  }
}

/** What is appended while all that comes is a little more of the same file. A line costs each follower no more than one read. */
async function* freshLines(file: CurrentFile, bell: LogBell): AsyncGenerator<Buffer> {
  while (await bell.wait()) {
    const lines = file.readFresh();
    if (lines === undefined) return;
    yield* lines;
  }
}

/** The lines of the files between the one that was read so far and the one that is now current, which is the next to read. */
async function* overtake(path: string, current: CurrentFile): AsyncGenerator<Buffer> {
  const [newest, ...rotated] = await openLogFiles(path);
  try {
    const unread = rotated.slice(0, findRead(rotated, current.file));
    for (const file of unread.toReversed()) yield* logLines(file);
  } finally {
    await closeLogFiles(rotated);
  }
  await current.replace(newest);
}

/** The first of these files, newest first, that was read before: by its inode, or, a compressed one, by its age. */
function findRead(files: readonly LogFile[], last: LogFile | undefined): number {
  if (last === undefined) return files.length;
  const at = files.findIndex((file) =>
    file.compressed ? file.modified <= last.modified : file.inode === last.inode,
  );
  return at === -1 ? files.length : at;
}

/** The file that is being written, and how far it was read. */
class CurrentFile implements AsyncDisposable {
  file: LogFile | undefined;
  readonly #first: LogFile | undefined;
  #position: number;
  #splitter = new LineSplitter();

  constructor(file: LogFile | undefined, start: number) {
    this.file = file;
    this.#first = file;
    this.#position = start;
  }

  /** The next lines; undefined at the end of what is there. */
  async read(): Promise<Buffer[] | undefined> {
    if (this.file === undefined) return undefined;
    for (;;) {
      const piece = await readPiece(this.file.handle, this.#position);
      if (piece === undefined) {
        const { size, mtimeNs } = await this.file.handle.stat({ bigint: true });
        this.file.modified = mtimeNs;
        if (size >= this.#position) return undefined;
        // Somebody emptied the file; the monitor writes on from its start.
        this.#position = 0;
        this.#splitter = new LineSplitter();
        continue;
      }
      this.#position += piece.length;
      const lines = this.#splitter.push(piece);
      if (lines.length > 0) return lines;
    }
  }

  /**
   * The lines of what was appended; undefined when there is nothing or a lot, which `read` looks into. Synchronous: the pages
   * were written a moment ago.
   */
  readFresh(): Buffer[] | undefined {
    if (this.file === undefined) return undefined;
    const length = readSync(this.file.handle.fd, fresh, 0, fresh.length, this.#position);
    if (length === 0 || length === fresh.length) return undefined;
    this.#position += length;
    return this.#splitter.push(Buffer.from(fresh.subarray(0, length)));
  }

  async replace(file: LogFile | undefined): Promise<void> {
    await this[Symbol.asyncDispose]();
    this.file = file;
    this.#position = 0;
    this.#splitter = new LineSplitter();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.file !== this.#first) await this.file?.handle.close();
  }
}
