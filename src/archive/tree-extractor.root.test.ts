import assert from 'node:assert/strict';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { getXattr, listXattrs } from '#/host/xattr.ts';
import { type NewTarMember, writeTar } from './tar-writer.ts';
import { type ExtractOptions, extractTar } from './tree-extractor.ts';

let place = '';
let root = '';
let outside = '';

beforeEach(() => {
  place = mkdtempSync(path.join(tmpdir(), 'hull-extract-'));
  root = path.join(place, 'root');
  outside = path.join(place, 'outside');
  mkdirSync(root);
  mkdirSync(outside);
});

afterEach(() => rmSync(place, { recursive: true }));

const extract = (members: NewTarMember[], options?: ExtractOptions): Promise<void> =>
  extractTar(writeTar(members), root, options);
const file = (name: string, text: string): NewTarMember => ({ entry: { name }, data: Buffer.from(text) });

test('extractTar() follows symlinks that were there before only within the root', async () => {
  symlinkSync(outside, path.join(root, 'absolute'));
  symlinkSync('../outside', path.join(root, 'relative'));
  await extract([file('absolute/a', 'a'), file('relative/b', 'b')]);
  assert.deepEqual(readdirSync(outside), []);
  assert.equal(readFileSync(path.join(root, outside, 'a'), 'utf8'), 'a');
  assert.equal(readFileSync(path.join(root, 'outside/b'), 'utf8'), 'b');
});

test('extractTar() replaces a symlink instead of writing through it', async () => {
  writeFileSync(path.join(outside, 'target'), 'untouched');
  symlinkSync(path.join(outside, 'target'), path.join(root, 'link'));
  symlinkSync(outside, path.join(root, 'dir'));
  await extract([
    file('link', 'a file now'),
    { entry: { name: 'dir/', type: 'directory', mode: 0o711 } },
    file('dir/x', 'x'),
  ]);
  assert.equal(readFileSync(path.join(outside, 'target'), 'utf8'), 'untouched');
  assert.equal(readFileSync(path.join(root, 'link'), 'utf8'), 'a file now');
  assert.ok(lstatSync(path.join(root, 'dir')).isDirectory());
  assert.deepEqual(readdirSync(outside), ['target']);
});

test('extractTar() replaces a directory with all that is in it, without leaving the tree', async () => {
  mkdirSync(path.join(root, 'd/sub'), { recursive: true });
  writeFileSync(path.join(outside, 'kept'), '');
  symlinkSync(outside, path.join(root, 'd/sub/link'));
  await extract([file('d', 'a file now')]);
  assert.equal(readFileSync(path.join(root, 'd'), 'utf8'), 'a file now');
  assert.deepEqual(readdirSync(outside), ['kept']);
});

test('extractTar() with keepKind refuses to change a directory into a file, or back, in Docker words', async () => {
  mkdirSync(path.join(root, 'etc/d'), { recursive: true });
  writeFileSync(path.join(root, 'f'), '');
  await assert.rejects(extract([file('etc/d', '')], { keepKind: true }), {
    kind: 'invalid',
    message: 'cannot overwrite directory "/etc/d" with non-directory "/"',
  });
  await assert.rejects(extract([{ entry: { name: 'f', type: 'directory' } }], { keepKind: true }), {
    message: 'cannot overwrite non-directory "/f" with directory "/"',
  });
});

test('extractTar() keeps whiteouts as files unless told that they are for overlayfs', async () => {
  await extract([file('.wh.a', 'x'), file('d/.wh..wh..opq', '')]);
  assert.ok(existsSync(path.join(root, '.wh.a')));
  await extract([file('e/.wh.a', ''), file('e/.wh..wh..opq', '')], { overlayWhiteouts: true });
  assert.ok(lstatSync(path.join(root, 'e/a')).isCharacterDevice());
  assert.equal(getXattr(path.join(root, 'e'), 'trusted.overlay.opaque')?.toString(), 'y');
});

test('extractTar() sets capabilities after the owner, which would clear them', async () => {
  const capability = Buffer.from('0100000200200000000000000000000000000000', 'hex');
  const xattrs = new Map([['security.capability', capability]]);
  await extract([{ entry: { name: 'ping', uid: 1000, mode: 0o4755, xattrs }, data: Buffer.from('x') }]);
  const ping = path.join(root, 'ping');
  assert.deepEqual(getXattr(ping, 'security.capability'), capability);
  assert.deepEqual(listXattrs(ping), ['security.capability']);
  assert.equal(lstatSync(ping).mode & 0o7777, 0o4755);
});

test('extractTar() names the root of the user namespace whose files it makes in their capabilities', async () => {
  const xattrs = new Map([
    ['security.capability', Buffer.from('0100000200200000000000000000000000000000', 'hex')],
  ]);
  await extract([{ entry: { name: 'ping', xattrs }, data: Buffer.from('x') }], {
    ownerOf: ({ uid, gid }) => ({ uid: uid + 0x10000, gid: gid + 0x10000 }),
  });
  const capability = getXattr(path.join(root, 'ping'), 'security.capability');
  assert.equal(capability?.toString('hex'), '010000030020000000000000000000000000000000000100');
});

test('extractTar() gives the root what its member says, and leaves zeros out of files, where it is told to', async () => {
  const members = [
    { entry: { name: './', type: 'directory' as const, mode: 0o751, uid: 5, mtime: 7, mtimeNanoseconds: 9 } },
    {
      entry: { name: './holes' },
      data: Buffer.concat([Buffer.alloc(1 << 20), Buffer.from('end'), Buffer.alloc(1 << 20)]),
    },
  ];
  await extract(members, { withRoot: true, sparse: true });
  const { mode, uid, mtimeNs } = lstatSync(root, { bigint: true });
  assert.deepEqual([mode & 0o7777n, uid, mtimeNs], [0o751n, 5n, 7_000_000_009n]);
  const holes = lstatSync(path.join(root, 'holes'));
  assert.equal(holes.size, (2 << 20) + 3);
  assert.ok(holes.blocks * 512 < 1 << 20, `${holes.blocks} blocks`);
  assert.equal(readFileSync(path.join(root, 'holes')).indexOf('end'), 1 << 20);
});
