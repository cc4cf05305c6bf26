import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { buffer } from 'node:stream/consumers';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { readTar } from './tar-reader.ts';
import type { TarEntry, TarEntryType } from './tar-entry.ts';
import { type NewTarMember, writeTar } from './tar-writer.ts';

interface Case {
  entry: TarEntry;
  data: Buffer;
}

function byteName(minLength: number, maxLength: number): fc.Arbitrary<string> {
  return fc
    .uint8Array({ minLength, maxLength, min: 1 })
    .map((bytes) => Buffer.from(bytes).toString('latin1'));
}

function member(): fc.Arbitrary<Case> {
  return fc
    .record({
      name: fc.oneof(
        byteName(1, 20),
        byteName(90, 300),
        fc.array(byteName(1, 60), { minLength: 2 }).map((n) => n.join('/')),
      ),
      type: fc.constantFrom<TarEntryType>(
        'file',
        'hardlink',
        'symlink',
        'character',
        'block',
        'directory',
        'fifo',
      ),
      mode: fc.integer({ min: 0, max: 0o7777 }),
      uid: fc.nat({ max: 2 ** 32 - 1 }),
      gid: fc.nat({ max: 2 ** 32 - 1 }),
      mtime: fc.integer({ min: -(2 ** 40), max: 2 ** 40 }),
      mtimeNanoseconds: fc.oneof(fc.constant(0), fc.nat({ max: 999_999_999 })),
      linkName: byteName(1, 200),
      major: fc.nat({ max: 4095 }),
      minor: fc.nat({ max: 1_048_575 }),
      xattrs: fc.dictionary(
        byteName(1, 20).map((name) => `user.${name}`),
        fc.uint8Array({ maxLength: 100 }),
        { maxKeys: 3 },
      ),
      data: fc.uint8Array({ maxLength: 2000 }),
    })
    .map(({ data, xattrs, linkName, major, minor, ...rest }) => {
      const isLink = rest.type === 'hardlink' || rest.type === 'symlink';
      const isDevice = rest.type === 'character' || rest.type === 'block';
      const entry: TarEntry = {
        ...rest,
        size: rest.type === 'file' ? data.length : 0,
        linkName: isLink ? linkName : '',
        major: isDevice ? major : 0,
        minor: isDevice ? minor : 0,
      };
      const pairs = Object.entries(xattrs).map(([key, value]) => [key, Buffer.from(value)] as const);
      if (pairs.length > 0) entry.xattrs = new Map(pairs);
      return { entry, data: Buffer.from(rest.type === 'file' ? data : []) };
    });
}

test('what writeTar() writes readTar() reads, whatever the chunks', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(member(), { maxLength: 6 }),
      fc.integer({ min: 1, max: 3000 }),
      async (cases, size) => {
        const tar = await buffer(writeTar(cases));
        async function* chunks(): AsyncGenerator<Buffer> {
          for (let at = 0; at < tar.length; at += size) yield tar.subarray(at, at + size);
        }
        const read: Case[] = [];
        for await (const { entry, bytes } of readTar(chunks())) read.push({ entry, data: await bytes() });
        assert.deepEqual(read, cases);
      },
    ),
    { numRuns: 150 },
  );
});

test('GNU tar reads what writeTar() writes', async () => {
  const long = `${'d'.repeat(120)}/${'f'.repeat(200)}`;
  const members: NewTarMember[] = [
    { entry: { name: 'dir/', type: 'directory', mode: 0o700 } },
    {
      entry: { name: 'dir/file', mtime: 1_700_000_000, mtimeNanoseconds: 500_000_000 },
      data: Buffer.from('text'),
    },
    { entry: { name: long, uid: 3_000_000 }, data: Buffer.from('x') },
    { entry: { name: 'link', type: 'symlink', linkName: 't'.repeat(150) } },
    { entry: { name: 'hard', type: 'hardlink', linkName: 'dir/file' } },
    { entry: { name: 'tty', type: 'character', major: 4, minor: 1, mode: 0o620, gid: 5 } },
  ];
  const list = execFileSync('tar', ['-tv', '--numeric-owner', '--full-time', '--utc', '-f', '-'], {
    input: await buffer(writeTar(members)),
    env: { ...process.env, LC_ALL: 'C' },
    timeout: 10_000,
  });
  assert.deepEqual(list.toString().trimEnd().replace(/ +/g, ' ').split('\n'), [
    'drwx------ 0/0 0 1970-01-01 00:00:00 dir/',
    '-rw-r--r-- 0/0 4 2023-11-14 22:13:20.5 dir/file',
    `-rw-r--r-- 3000000/0 1 1970-01-01 00:00:00 ${long}`,
    `lrwxr-xr-x 0/0 0 1970-01-01 00:00:00 link -> ${'t'.repeat(150)}`,
    'hrwxr-xr-x 0/0 0 1970-01-01 00:00:00 hard link to dir/file',
    'crw--w---- 0/5 4,1 1970-01-01 00:00:00 tty',
  ]);
});

test('writeTar() fills the holes of a sparse file', async () => {
  const sparse = [
    { offset: 3, length: 2 },
    { offset: 10, length: 4 },
  ];
  const tar = await buffer(
    writeTar([{ entry: { name: 's', size: 20, sparse }, data: Buffer.from('abcdef') }]),
  );
  assert.equal(tar.toString('latin1', 512, 532), '\0\0\0ab\0\0\0\0\0cdef\0\0\0\0\0\0');
});
