import { watch } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { errnoCode } from '#/base/errors.ts';
import { parseTimestamp } from '#/base/time.ts';

/** One record of a container's log. */
export interface LogEntry {
  stream: 'stdout' | 'stderr';
  /** RFC 3339 with nanoseconds. */
  time: string;
  data: Buffer;
}

export interface LogQuery {
  /** Only the last so many records. */
  tail?: number;
  /** Nanoseconds since 1970. */
  since?: bigint;
  until?: bigint;
  /** Go on with what is yet written, until this resolves; what was written before that is still read. */
  follow?: Promise<unknown>;
}

const CHUNK = 64 << 10;
// Writers on another mount or an overflowing inotify queue tell nothing; look anyway.
const POLL_MS = 1000;
// Docker's own limit for rotated files; a gap in the numbers ends the search sooner.
const MOST_FILES = 1000;

/** Reads a json-file log and its rotated predecessors (`path.1` is the newest of them), oldest record first. */
export async function* readLog(
  path: string,
  query: LogQuery,
  signal?: AbortSignal,
): AsyncGenerator<LogEntry> {
  const files = await openFiles(path);
  try {
    const from = query.tail === undefined ? undefined : await tailOffsets(files, query.tail);
    for (const [index, file] of files.entries()) {
      const last = index === files.length - 1;
      const start = from?.[index] ?? 0;
      if (last && query.follow !== undefined)
        yield* filtered(followLines(path, file, start, query.follow, signal), query);
      else yield* filtered(lines(file, start), query);
      if (signal?.aborted) return;
    }
  } finally {
    await Promise.all(files.map((file) => file.close()));
  }
}

async function* filtered(
  source: AsyncIterable<Buffer>,
  { since, until }: LogQuery,
): AsyncGenerator<LogEntry> {
  for await (const line of source) {
    const entry = parseEntry(line);
    if (entry === undefined) continue;
    if (since !== undefined || until !== undefined) {
      const at = parseTimestamp(entry.time) ?? 0n;
      if (since !== undefined && at < since) continue;
      if (until !== undefined && at > until) return;
    }
    yield entry;
  }
}

/** A line that a crash or a full disk cut off is no record. */
function parseEntry(line: Buffer): LogEntry | undefined {
  try {
    const { log, stream, time } = JSON.parse(line.toString('utf8')) as {
      log?: string;
      stream?: string;
      time?: string;
    };
    return {
      stream: stream === 'stderr' ? 'stderr' : 'stdout',
      time: time ?? '',
      data: Buffer.from(log ?? '', 'utf8'),
    };
  } catch {
    return undefined;
  }
}

/** Oldest first; the current file is the last. Empty when nothing was ever written. */
async function openFiles(path: string): Promise<FileHandle[]> {
  const files: FileHandle[] = [];
  for (let number = 0; number <= MOST_FILES; number++) {
    const file = await openIfThere(number === 0 ? path : `${path}.${number}`);
    if (file === undefined) break;
    files.unshift(file);
  }
  return files;
}

async function openIfThere(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, 'r');
  } catch (error) {
    if (errnoCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** Where to start in each file so that `count` records come in all, found by reading backwards. */
async function tailOffsets(files: readonly FileHandle[], count: number): Promise<number[]> {
  const offsets = files.map(() => 0);
  let missing = count;
  for (let index = files.length - 1; index >= 0; index--) {
    const file = files[index];
    if (file === undefined) continue;
    const { size } = await file.stat();
    if (missing <= 0) {
      offsets[index] = size;
      continue;
    }
    const { offset, found } = await lastLines(file, size, missing);
    offsets[index] = offset;
    missing -= found;
  }
  return offsets;
}

async function lastLines(
  file: FileHandle,
  size: number,
  count: number,
): Promise<{ offset: number; found: number }> {
  const chunk = Buffer.allocUnsafe(CHUNK);
  let found = 0;
  for (let end = size; end > 0;) {
    const start = Math.max(0, end - CHUNK);
    const { bytesRead } = await file.read(chunk, 0, end - start, start);
    for (let at = bytesRead - 1; at >= 0; at--) {
      // The newline that ends the file's last line starts no further one.
      if (chunk[at] !== 0x0a || start + at === size - 1) continue;
      if (++found === count) return { offset: start + at + 1, found };
    }
    end = start;
  }
  return { offset: 0, found: size > 0 ? found + 1 : 0 };
}

async function* lines(file: FileHandle, start: number): AsyncGenerator<Buffer> {
  const splitter = new LineSplitter(file, start);
  for (let batch = await splitter.next(); batch !== undefined; batch = await splitter.next()) yield* batch;
}

async function* followLines(
  path: string,
  first: FileHandle,
  start: number,
  ended: Promise<unknown>,
  signal?: AbortSignal,
): AsyncGenerator<Buffer> {
  let file = first;
  let splitter = new LineSplitter(file, start);
  const bell = new Bell(path, signal);
  let over = false;
  const end = async (): Promise<void> => {
    await ended;
    over = true;
    bell.ring();
  };
  void end();
  try {
    for (;;) {
      if (signal?.aborted) return;
      // Asked before reading: what is written before the end is then read in this round.
      const wasOver = over;
      const batch = await splitter.next();
      if (batch !== undefined) {
        yield* batch;
        continue;
      }
      const successor = await rotated(path, file);
      if (successor !== undefined) {
        // The writer renames before it writes on, so the old file is whole by now; once more for what came in between.
        yield* (await splitter.next()) ?? [];
        if (file !== first) await file.close();
        file = successor;
        splitter = new LineSplitter(file, 0);
        bell.watch();
        continue;
      }
      if (wasOver) return;
      await bell.wait();
    }
  } finally {
    bell.close();
    if (file !== first) await file.close();
  }
}

/** The new file under the name, if the one that is open is no longer it. */
async function rotated(path: string, file: FileHandle): Promise<FileHandle | undefined> {
  const current = await openIfThere(path);
  if (current === undefined) return undefined;
  const [mine, theirs] = await Promise.all([file.stat(), current.stat()]);
  if (mine.ino !== theirs.ino) return current;
  await current.close();
  return undefined;
}

/** Cuts a growing file into whole lines; a line that is not finished waits for the next call. */
class LineSplitter {
  readonly #file: FileHandle;
  #position: number;
  #rest: Buffer = Buffer.alloc(0);

  constructor(file: FileHandle, position: number) {
    this.#file = file;
    this.#position = position;
  }

  /** The next lines, without their newlines; undefined at the end of what is there. */
  async next(): Promise<Buffer[] | undefined> {
    for (;;) {
      const chunk = Buffer.allocUnsafe(CHUNK);
      const { bytesRead } = await this.#file.read(chunk, 0, CHUNK, this.#position);
      if (bytesRead === 0) return undefined;
      this.#position += bytesRead;
      const data =
        this.#rest.length > 0
          ? Buffer.concat([this.#rest, chunk.subarray(0, bytesRead)])
          : chunk.subarray(0, bytesRead);
      const found: Buffer[] = [];
      let from = 0;
      for (let at = data.indexOf(0x0a); at !== -1; at = data.indexOf(0x0a, from)) {
        found.push(data.subarray(from, at));
        from = at + 1;
      }
      this.#rest = data.subarray(from);
      if (found.length > 0) return found;
    }
  }
}

/** Rings when the file changes, and every second in case nobody told. */
class Bell {
  readonly #path: string;
  readonly #signal: AbortSignal | undefined;
  #watcher: ReturnType<typeof watch> | undefined;
  #rung = false;
  #wake: (() => void) | undefined;
  readonly #onAbort = (): void => this.ring();

  constructor(path: string, signal?: AbortSignal) {
    this.#path = path;
    this.#signal = signal;
    signal?.addEventListener('abort', this.#onAbort, { once: true });
    this.watch();
  }

  /** Watches whatever file has the name now. */
  watch(): void {
    this.#watcher?.close();
    try {
      this.#watcher = watch(this.#path, () => this.ring());
      this.#watcher.on('error', () => this.#watcher?.close());
    } catch {
      // Out of inotify watches, or rotated away this very moment: the second hand still moves.
      this.#watcher = undefined;
    }
  }

  ring(): void {
    this.#rung = true;
    this.#wake?.();
  }

  async wait(): Promise<void> {
    if (!this.#rung) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, POLL_MS);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      this.#wake = undefined;
    }
    this.#rung = false;
  }

  close(): void {
    this.#watcher?.close();
    this.#signal?.removeEventListener('abort', this.#onAbort);
  }
}
