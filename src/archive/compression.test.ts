import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { test } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { openCompressed } from './compression.ts';

const TEXT = Buffer.from('some text '.repeat(50_000));

function pack(program: string): Buffer {
  return execFileSync(program, ['-c'], { input: TEXT, timeout: 20_000 });
}

async function opened(bytes: Buffer, chunk = 4): Promise<{ kind: string; bytes: Buffer }> {
  async function* chunks(): AsyncGenerator<Buffer> {
    yield bytes.subarray(0, chunk);
    yield bytes.subarray(chunk);
  }
  const { kind, stream } = await openCompressed(Readable.from(chunks()));
  return { kind, bytes: await buffer(stream) };
}

for (const [kind, make] of [
  ['none', () => TEXT],
  ['gzip', () => gzipSync(TEXT)],
  ['zstd', () => zstdCompressSync(TEXT)],
  ['xz', () => pack('xz')],
  ['bzip2', () => pack('bzip2')],
] as const) {
  test(`openCompressed() tells ${kind} by its first bytes and unpacks it`, async () => {
    for (const chunk of [1, 7, 1000]) assert.deepEqual(await opened(make(), chunk), { kind, bytes: TEXT });
  });

  if (kind === 'none') continue;
  test(`openCompressed() refuses ${kind} that is torn or corrupt`, async () => {
    const packed = Buffer.from(make());
    const error = { kind: 'invalid', message: new RegExp(`^corrupt ${kind} data`) };
    await assert.rejects(opened(packed.subarray(0, packed.length - 10)), error);
    packed.fill(0x55, packed.length >> 1);
    await assert.rejects(opened(packed), error);
  });
}

test('openCompressed() unpacks several gzip members and zstd frames one after the other', async () => {
  for (const pack of [gzipSync, zstdCompressSync]) {
    const twice = await opened(Buffer.concat([pack(TEXT), pack(TEXT)]));
    assert.equal(twice.bytes.length, 2 * TEXT.length);
  }
});

test('openCompressed() takes an empty stream as it is', async () => {
  assert.deepEqual(await opened(Buffer.alloc(0)), { kind: 'none', bytes: Buffer.alloc(0) });
});

test('openCompressed() refuses what unpacks to more than the limit', async () => {
  const source = Readable.from([gzipSync(Buffer.alloc(10_000_000))]);
  const { stream } = await openCompressed(source, { limit: 1_000_000 });
  await assert.rejects(buffer(stream), {
    kind: 'invalid',
    message: 'the archive unpacks to more than 1000000 bytes',
  });
});

test('openCompressed() passes a failure of the source on', async () => {
  for (const packed of [gzipSync(TEXT), pack('xz'), TEXT]) {
    async function* failing(): AsyncGenerator<Buffer> {
      yield packed.subarray(0, 100);
      throw new Error('the other side is gone');
    }
    const { stream } = await openCompressed(Readable.from(failing()));
    await assert.rejects(buffer(stream), /the other side is gone/);
  }
});
