import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { GuestEntry } from '../runtime.ts';
import { decodeEntries, encodeEntries } from './guest-entries.ts';

const FILE = 0o100644;
const PLAIN: GuestEntry = {
  name: '.',
  mode: 0o40755,
  uid: 1,
  gid: 2,
  size: 0,
  mtime: -5,
  mtimeNanoseconds: 7,
  major: 0,
  minor: 0,
};

async function* iterate<T>(items: readonly T[]): AsyncGenerator<T> {
  yield* items;
}

async function collect(
  chunks: AsyncIterable<Buffer>,
): Promise<(Omit<GuestEntry, 'data'> & { bytes?: string })[]> {
  const found = [];
  for await (const { data, ...entry } of decodeEntries(chunks)) {
    const parts: Buffer[] = [];
    for await (const piece of data ?? []) parts.push(piece);
    found.push({
      ...entry,
      ...(data === undefined ? {} : { bytes: Buffer.concat(parts).toString('latin1') }),
    });
  }
  return found;
}

const TREE = [
  PLAIN,
  { ...PLAIN, name: 'a\xff', mode: FILE, size: 5, xattrs: new Map([['user.x', Buffer.of(0, 1)]]) },
  { ...PLAIN, name: 'b', mode: FILE, size: 5, hardLink: 'a\xff' },
  { ...PLAIN, name: 'c', mode: 0o120777, link: '../x' },
  { ...PLAIN, name: 'd', mode: 0o20600, major: 1, minor: 3 },
  { ...PLAIN, name: 'e', mode: FILE },
];

const encoded = (): AsyncIterable<Buffer> =>
  encodeEntries(
    iterate(
      TREE.map((entry) =>
        entry.size > 0 ? { ...entry, data: iterate([Buffer.from('hel'), Buffer.from('lo')]) } : entry,
      ),
    ),
  );

test('decodeEntries() gives back what encodeEntries() wrote, however it is cut', async () => {
  const parts: Buffer[] = [];
  for await (const part of encoded()) parts.push(part);
  const whole = Buffer.concat(parts);
  for (const size of [1, 3, 7, whole.length]) {
    const pieces = Array.from({ length: Math.ceil(whole.length / size) }, (_, n) =>
      whole.subarray(n * size, (n + 1) * size),
    );
    const found = await collect(iterate(pieces));
    assert.deepEqual(
      found,
      TREE.map((entry, index) => {
        const bytes = [undefined, 'hello', undefined, undefined, undefined, ''][index];
        return bytes === undefined ? entry : { ...entry, bytes };
      }),
    );
  }
});

test('decodeEntries() passes over data that nobody reads', async () => {
  const names = [];
  for await (const { name } of decodeEntries(encoded())) names.push(name);
  assert.deepEqual(
    names,
    TREE.map(({ name }) => name),
  );
});

test('decodeEntries() throws at what is cut off, and at files that end too early', async () => {
  const parts: Buffer[] = [];
  for await (const part of encoded()) parts.push(part);
  const whole = Buffer.concat(parts);
  await assert.rejects(collect(iterate([whole.subarray(0, whole.length - 3)])), /cut off/);
  const short = encodeEntries(
    iterate([{ ...PLAIN, mode: FILE, size: 9, data: iterate([Buffer.from('x')]) }]),
  );
  await assert.rejects(collect(short), /8 bytes before its end/);
});
