import assert from 'node:assert/strict';
import {
  appendFileSync,
  linkSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { parseTimestamp } from '#/base/time.ts';
import { type LogQuery, readLog } from './log-reader.ts';

const line = (n: number, stream = 'stdout'): string =>
  `${JSON.stringify({ log: `line ${n}\n`, stream, time: `2026-01-01T00:00:${String(n % 60).padStart(2, '0')}.5Z` })}\n`;

function logFile(t: TestContext): string {
  const directory = mkdtempSync(path.join(tmpdir(), 'hull-log-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  return path.join(directory, 'x.log');
}

async function texts(file: string, query: LogQuery = {}, found: string[] = []): Promise<string[]> {
  for await (const entry of readLog(file, query)) found.push(entry.data.toString().trim());
  return found;
}

/** A follower that has read so many records already. */
async function follow(
  file: string,
  ended: Promise<void>,
  count: number,
): Promise<{ reading: Promise<string[]> }> {
  const found: string[] = [];
  const reading = texts(file, { follow: ended }, found);
  while (found.length < count) await sleep(5);
  return { reading };
}

const range = (from: number, to: number): string[] =>
  Array.from({ length: to - from + 1 }, (_, index) => `line ${from + index}`);

test('readLog() reads rotated files in order, and nothing of a log that was never written', async (t) => {
  const file = logFile(t);
  assert.deepEqual(await texts(file), []);
  writeFileSync(`${file}.2`, line(1) + line(2));
  writeFileSync(`${file}.1`, line(3));
  writeFileSync(file, line(4) + line(5));
  assert.deepEqual(await texts(file), range(1, 5));
});

test('readLog() reads a file once that is being rotated and has two names', async (t) => {
  const file = logFile(t);
  writeFileSync(`${file}.2`, line(1));
  writeFileSync(file, line(2) + line(3));
  linkSync(file, `${file}.1`);
  assert.deepEqual(await texts(file), range(1, 3));
  assert.deepEqual(await texts(file, { tail: 3 }), range(1, 3));
});

test('readLog() finds the last records across files and chunk borders', async (t) => {
  const file = logFile(t);
  const all = Array.from({ length: 5000 }, (_, n) => line(n));
  writeFileSync(`${file}.1`, all.slice(0, 2000).join(''));
  writeFileSync(file, all.slice(2000).join(''));
  for (const tail of [0, 1, 2, 2999, 3000, 3001, 4999, 5000, 9999]) {
    assert.deepEqual(await texts(file, { tail }), range(Math.max(0, 5000 - tail), 4999), `tail ${tail}`);
  }
});

/** As gzip does it: the content packed, the time kept. */
function compress(file: string, damage = 0): void {
  const { atime, mtimeMs } = statSync(file);
  const packed = gzipSync(readFileSync(file));
  writeFileSync(`${file}.gz`, packed.subarray(0, packed.length - damage));
  // gzip keeps every nanosecond; a Date rounds, up too, and nothing is compressed before it was written.
  utimesSync(`${file}.gz`, atime, Math.floor(mtimeMs) / 1000);
}

test('readLog() reads compressed files, and the plain one while there are both', async (t) => {
  const file = logFile(t);
  const all = Array.from({ length: 3000 }, (_, n) => line(n));
  writeFileSync(`${file}.2`, all.slice(0, 1000).join(''));
  compress(`${file}.2`);
  rmSync(`${file}.2`);
  writeFileSync(`${file}.1`, all.slice(1000, 2000).join(''));
  compress(`${file}.1`, 500);
  writeFileSync(file, all.slice(2000).join(''));
  for (const tail of [undefined, 0, 1, 1000, 1001, 2000, 2001, 2999, 4000]) {
    const from = Math.max(0, 3000 - (tail ?? 3000));
    assert.deepEqual(await texts(file, { tail }), range(from, 2999), `tail ${tail}`);
  }
});

test('readLog() gives what a damaged compressed file still holds, and goes on', async (t) => {
  const file = logFile(t);
  writeFileSync(`${file}.1`, Array.from({ length: 20_000 }, (_, n) => line(n)).join(''));
  compress(`${file}.1`, 100);
  rmSync(`${file}.1`);
  writeFileSync(file, line(1));
  const found = await texts(file);
  assert.equal(found.at(-1), 'line 1');
  assert.ok(found.length > 1000 && found.length < 20_001, `${found.length}`);
  assert.deepEqual(found.slice(0, 1000), range(0, 999));
});

test('readLog() finds the record after one that was cut off, on the same line or the next', async (t) => {
  const file = logFile(t);
  writeFileSync(
    file,
    `${line(1)}{"log":"cut${line(2)}{"log":"again\n${line(3)}\0\0\0\0${line(4)}no record\n`,
  );
  assert.deepEqual(await texts(file), range(1, 4));
});

test('readLog() tells attributes', async (t) => {
  const file = logFile(t);
  const attrs = { tag: 'a b' };
  writeFileSync(file, `${JSON.stringify({ log: 'x\n', stream: 'stderr', attrs, time: 'now' })}\n${line(1)}`);
  const entries = await Array.fromAsync(readLog(file, {}));
  assert.deepEqual(
    entries.map(({ stream, attributes }) => [stream, attributes]),
    [
      ['stderr', attrs],
      ['stdout', {}],
    ],
  );
});

test('readLog() keeps to since and until inside rotated files', async (t) => {
  const file = logFile(t);
  writeFileSync(`${file}.2`, line(1) + line(2) + line(3));
  compress(`${file}.2`);
  rmSync(`${file}.2`);
  writeFileSync(`${file}.1`, line(4) + line(5) + line(6));
  writeFileSync(file, line(7) + line(8));
  const at = (second: number): bigint => parseTimestamp(`2026-01-01T00:00:0${second}.5Z`) ?? 0n;
  assert.deepEqual(await texts(file, { since: at(2) }), range(2, 8));
  assert.deepEqual(await texts(file, { since: at(5), until: at(7) }), range(5, 7));
  assert.deepEqual(await texts(file, { until: at(2) }), range(1, 2));
  assert.deepEqual(await texts(file, { tail: 3, since: at(7) }), range(7, 8));
});

test('readLog() keeps to since and until, and skips a line that a crash cut off', async (t) => {
  const file = logFile(t);
  writeFileSync(file, `${line(1)}${line(2)}${line(3)}{"log":"cut`);
  const at = (second: number): bigint => parseTimestamp(`2026-01-01T00:00:0${second}.5Z`) ?? 0n;
  assert.deepEqual(await texts(file, { since: at(2) }), range(2, 3));
  assert.deepEqual(await texts(file, { until: at(2) }), range(1, 2));
});

/** Every file gets the next one's name, of so many rotated ones. */
function rotate(file: string, rotated: number): void {
  for (let number = rotated; number > 0; number--) {
    for (const ending of ['', '.gz']) {
      try {
        renameSync(`${file}.${number}${ending}`, `${file}.${number + 1}${ending}`);
      } catch {
        // Not there.
      }
    }
  }
  renameSync(file, `${file}.1`);
}

test('readLog() follows through a rotation until the writer has ended, and misses nothing', async (t) => {
  const file = logFile(t);
  writeFileSync(file, line(0));
  const { promise: ended, resolve: end } = Promise.withResolvers<void>();
  const { reading } = await follow(file, ended, 1);
  for (let n = 1; n <= 300; n++) {
    if (n % 100 === 0) rotate(file, 2);
    appendFileSync(file, line(n));
    if (n % 50 === 0) await new Promise((resolve) => setTimeout(resolve, 20));
  }
  end();
  assert.deepEqual(await reading, range(0, 300));
});

test('readLog() follows through several rotations at once, compressed or not', async (t) => {
  const file = logFile(t);
  writeFileSync(file, line(0));
  const { promise: ended, resolve: end } = Promise.withResolvers<void>();
  const { reading } = await follow(file, ended, 1);
  let n = 1;
  for (let rotations = 0; rotations < 4; rotations++) {
    rotate(file, 3);
    // Later than what came before it by more than the clock of files is coarse.
    await sleep(10);
    writeFileSync(file, line(n++) + line(n++));
    if (rotations % 2 === 0) {
      compress(`${file}.1`);
      rmSync(`${file}.1`);
    }
  }
  end();
  assert.deepEqual(await reading, range(0, 8));
});

test('readLog() follows a file that somebody empties', async (t) => {
  const file = logFile(t);
  writeFileSync(file, line(0) + line(1));
  const { promise: ended, resolve: end } = Promise.withResolvers<void>();
  const { reading } = await follow(file, ended, 2);
  truncateSync(file);
  appendFileSync(file, line(2));
  end();
  assert.deepEqual(await reading, range(0, 2));
});

test('readLog() stops following when its reader is gone', async (t) => {
  const file = logFile(t);
  writeFileSync(file, line(0));
  const abort = new AbortController();
  const reader = readLog(file, { follow: new Promise(() => {}) }, abort.signal);
  assert.equal((await reader.next()).done, false);
  const next = reader.next();
  abort.abort();
  assert.equal((await next).done, true);
});
