import { parseTimestamp } from '#/base/time.ts';
import { followLog } from './follow-log.ts';
import {
  closeLogFiles,
  findLastLines,
  type LogFile,
  logLines,
  type LogStart,
  openLogFiles,
} from './log-files.ts';

/** One record of a container's log. */
export interface LogEntry {
  stream: 'stdout' | 'stderr';
  /** RFC 3339 with nanoseconds. */
  time: string;
  data: Buffer;
  /** What the log's options add to each record: labels, environment, tag. */
  attributes: Record<string, string>;
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

// The kernel's clock for files is coarser than the one that records have their time from.
const FILE_CLOCK_NANOS = 1_000_000_000n;
const WHOLE: LogStart = { bytes: 0, lines: 0 };

/** Reads a log and its rotated predecessors, compressed or not, oldest record first. */
export async function* readLog(
  path: string,
  query: LogQuery,
  signal?: AbortSignal,
): AsyncGenerator<LogEntry> {
  const files = await openLogFiles(path);
  try {
    yield* filtered(recordLines(path, files, query, signal), query);
  } finally {
    await closeLogFiles(files);
  }
}

async function* recordLines(
  path: string,
  files: readonly LogFile[],
  { tail, since, follow }: LogQuery,
  signal?: AbortSignal,
): AsyncGenerator<Buffer> {
  const [current, ...rotated] = files;
  const starts = tail === undefined ? undefined : await tailStarts(files, tail);
  for (const [index, file] of [...rotated.entries()].toReversed()) {
    const start = starts === undefined ? WHOLE : starts[index + 1];
    if (start === undefined || (tail === undefined && endsBefore(file, since))) continue;
    let skip = start.lines;
    for await (const line of logLines(file, start.bytes)) if (skip-- <= 0) yield line;
    if (signal?.aborted) return;
  }
  const start = (starts === undefined ? 0 : starts[0]?.bytes) ?? current?.size ?? 0;
  if (follow !== undefined) yield* followLog(path, current, start, follow, signal);
  else if (current !== undefined) yield* logLines(current, start);
}

function endsBefore(file: LogFile, since: bigint | undefined): boolean {
  return since !== undefined && file.modified + FILE_CLOCK_NANOS < since;
}

/** Where to start in each file so that `count` records come in all; files beyond the list's end are left out. */
async function tailStarts(files: readonly LogFile[], count: number): Promise<LogStart[]> {
  const starts: LogStart[] = [];
  let missing = count;
  for (const file of files) {
    if (missing <= 0) break;
    const { skip, found } = await findLastLines(file, missing);
    starts.push(skip);
    missing -= found;
  }
  return starts;
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

const RECORD_START = '{"log":"';

/** A record that a crash or a full disk cut off is none; what was written on after it, on the same line, is one. */
function parseEntry(line: Buffer): LogEntry | undefined {
  return parseRecord(line) ?? parseRecord(line.subarray(Math.max(0, line.lastIndexOf(RECORD_START))));
}

function parseRecord(line: Buffer): LogEntry | undefined {
  try {
    const { log, stream, time, attrs } = JSON.parse(line.toString('utf8')) as {
      log?: string;
      stream?: string;
      time?: string;
      attrs?: Record<string, string>;
    };
    return {
      stream: stream === 'stderr' ? 'stderr' : 'stdout',
      time: time ?? '',
      data: Buffer.from(log ?? '', 'utf8'),
      attributes: attrs ?? {},
    };
  } catch {
    return undefined;
  }
}
