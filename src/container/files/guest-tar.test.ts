import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OPAQUE_XATTR } from '#/archive/member-path.ts';
import { readTar } from '#/archive/tar-reader.ts';
import { writeTar } from '#/archive/tar-writer.ts';
import type { GuestEntry } from '#/runtime/runtime.ts';
import { guestEntries, guestTar, type GuestTarOptions } from './guest-tar.ts';

const ENTRY: GuestEntry = {
  name: '.',
  mode: 0o40755,
  uid: 0,
  gid: 0,
  size: 0,
  mtime: 1,
  mtimeNanoseconds: 9,
  major: 0,
  minor: 0,
};

async function* iterate<T>(items: readonly T[]): AsyncGenerator<T> {
  yield* items;
}

const TREE: GuestEntry[] = [
  ENTRY,
  { ...ENTRY, name: 'dir', xattrs: new Map([[OPAQUE_XATTR, Buffer.from('y')]]) },
  { ...ENTRY, name: 'dir/gone', mode: 0o20000 },
  { ...ENTRY, name: 'file', mode: 0o104755, size: 2, data: iterate([Buffer.from('hi')]) },
  { ...ENTRY, name: 'link', mode: 0o120777, link: 'file' },
  { ...ENTRY, name: 'same', mode: 0o104755, size: 2, hardLink: 'file' },
  { ...ENTRY, name: 'socket', mode: 0o140755 },
];

async function names(options: GuestTarOptions): Promise<string[]> {
  const found: string[] = [];
  const tree = TREE.map((entry) =>
    entry.data === undefined ? entry : { ...entry, data: iterate([Buffer.from('hi')]) },
  );
  for await (const { entry } of readTar(guestTar(iterate(tree), options)))
    found.push(`${entry.type} ${entry.name}${entry.linkName === '' ? '' : ` ${entry.linkName}`}`);
  return found;
}

test('guestTar() names members from its root on, and leaves sockets out', async () => {
  const wanted = [
    'directory dir/',
    'character dir/gone',
    'file file',
    'symlink link file',
    'hardlink same file',
  ];
  assert.deepEqual(await names({}), wanted);
  assert.deepEqual(await names({ as: 'top' }), [
    'directory top/',
    'directory top/dir/',
    'character top/dir/gone',
    'file top/file',
    'symlink top/link file',
    'hardlink top/same top/file',
  ]);
  assert.deepEqual(await names({ exclude: (path) => path === 'dir' }), wanted.slice(2));
});

test('guestTar() writes whiteouts and opaque directories of a diff', async () => {
  assert.deepEqual((await names({ isDiff: true })).slice(0, 3), [
    'directory dir/',
    'file dir/.wh..wh..opq',
    'file dir/.wh.gone',
  ]);
});

test('guestEntries() has a tar’s members for the guest, cleaned of dots, and refuses what leads out', async () => {
  const tar = writeTar([
    { entry: { name: './a/', type: 'directory', uid: 5 } },
    { entry: { name: 'a/../b', mode: 0o640, uid: 5 }, data: Buffer.from('text') },
    { entry: { name: 'c', type: 'hardlink', linkName: './b' } },
    { entry: { name: 'd', type: 'symlink', linkName: '../../etc' } },
  ]);
  const found = [];
  for await (const { data, ...entry } of guestEntries(tar, undefined)) {
    const parts: Buffer[] = [];
    for await (const piece of data ?? []) parts.push(piece);
    found.push([
      entry.name,
      entry.mode.toString(8),
      entry.uid,
      entry.link ?? entry.hardLink ?? Buffer.concat(parts).toString(),
    ]);
  }
  assert.deepEqual(found, [
    ['a', '40755', 5, ''],
    ['b', '100640', 5, 'text'],
    ['c', '100755', 0, 'b'],
    ['d', '120755', 0, '../../etc'],
  ]);
  const out = writeTar([{ entry: { name: '../x' }, data: Buffer.alloc(0) }]);
  await assert.rejects(async () => {
    for await (const _ of guestEntries(out, undefined));
  }, /outside/);
});
