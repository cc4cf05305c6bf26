import assert from 'node:assert/strict';
import { appendFileSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { parseTimestamp } from '#/base/time.ts';
import { type LogQuery, readLog } from './log-reader.ts';

const line = (n: number, stream = 'stdout'): string =>
  `${JSON.stringify({ log: `line ${n}\n`, stream, time: `2026-01-01T00:00:${String(n % 60).padStart(2, '0')}.5Z` })}\n`;

function logFile(t: TestContext): string {
  const directory = mkdtempSync(path.join(tmpdir(), 'hull-log-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  return path.join(directory, 'x.log');
}

async function texts(file: string, query: LogQuery = {}): Promise<string[]> {
  const found: string[] = [];
  for await (const entry of readLog(file, query)) found.push(entry.data.toString().trim());
  return found;
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

test('readLog() finds the last records across files and chunk borders', async (t) => {
  const file = logFile(t);
  const all = Array.from({ length: 5000 }, (_, n) => line(n));
  writeFileSync(`${file}.1`, all.slice(0, 2000).join(''));
  writeFileSync(file, all.slice(2000).join(''));
  for (const tail of [0, 1, 2, 2999, 3000, 3001, 4999, 5000, 9999]) {
    assert.deepEqual(await texts(file, { tail }), range(Math.max(0, 5000 - tail), 4999), `tail ${tail}`);
  }
});

test('readLog() keeps to since and until, and skips a line that a crash cut off', async (t) => {
  const file = logFile(t);
  writeFileSync(file, `${line(1)}${line(2)}${line(3)}{"log":"cut`);
  const at = (second: number): bigint => parseTimestamp(`2026-01-01T00:00:0${second}.5Z`) ?? 0n;
  assert.deepEqual(await texts(file, { since: at(2) }), range(2, 3));
  assert.deepEqual(await texts(file, { until: at(2) }), range(1, 2));
});

test('readLog() follows through a rotation until the writer has ended, and misses nothing', async (t) => {
  const file = logFile(t);
  writeFileSync(file, line(0));
  const { promise: ended, resolve: end } = Promise.withResolvers<void>();
  const reading = texts(file, { follow: ended });
  for (let n = 1; n <= 300; n++) {
    if (n % 100 === 0) renameSync(file, `${file}.1`);
    appendFileSync(file, line(n));
    if (n % 50 === 0) await new Promise((resolve) => setTimeout(resolve, 20));
  }
  end();
  assert.deepEqual(await reading, range(0, 300));
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
