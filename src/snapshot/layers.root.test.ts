import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  createReadStream,
  existsSync,
  lchownSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  closeSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import path from 'node:path';
import type { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { after, test } from 'node:test';
import { tmpdir } from 'node:os';
import * as fc from 'fast-check';
import { makeNode, S_IFBLK, S_IFCHR, S_IFIFO, setModifiedTime } from '#/host/files.ts';
import { listMounts, mountErofs, mountOverlay, mountTmpfs, unmount } from '#/host/mounts.ts';
import { setXattr } from '#/host/xattr.ts';
import { byteString, pathOf } from '#/archive/tar-entry.ts';
import { diffToTar, treeToTar } from '#/archive/tree-to-tar.ts';
import { type NewTarMember, writeTar } from '#/archive/tar-writer.ts';
import type { Digest } from '#/oci/digest.ts';
import { openSnapshotter } from './open-snapshotter.ts';
import type { Snapshotter } from './snapshotter.ts';
import { listTree } from './tree-listing.conformance.ts';

// Overlay's upper directory may not lie on an overlay, which a test host's /tmp can be; and a tmpfs is quick.
const place = mkdtempSync(path.join(tmpdir(), 'hull-layers-'));
mountTmpfs(place, { size: 3 * 2 ** 30, mode: 0o755 });

after(() => {
  for (const { target } of listMounts().reverse()) {
    if (target === place || target.startsWith(`${place}/`)) unmount(target, { lazy: true });
  }
  rmSync(place, { recursive: true });
});

let count = 0;

function directory(): string {
  const made = path.join(place, String(count++));
  mkdirSync(made);
  return made;
}

/** A snapshot's files, to look at while `look` runs. */
async function mounted(
  snapshotter: Snapshotter,
  key: string,
  look: (root: string) => unknown,
): Promise<void> {
  await using stack = new AsyncDisposableStack();
  const { layers, upper, work } = snapshotter.mounts(key);
  for (const { directory, file } of layers) {
    if (file === undefined) continue;
    mkdirSync(directory, { recursive: true });
    mountErofs(file, directory);
    stack.defer(() => unmount(directory));
  }
  const target = directory();
  const lower = layers.map((layer) => layer.directory).reverse();
  mountOverlay({ lower, target, ...(upper === undefined ? {} : { upper, work: work ?? '' }) });
  stack.defer(() => unmount(target));
  await look(target);
}

/** Writes a layer and shows it as the layer is, without an overlay over it. */
async function layerMounted(
  snapshotter: Snapshotter,
  tar: Readable,
  look: (root: string, diffId: Digest) => unknown,
): Promise<void> {
  const { diffId } = await snapshotter.writeLayer(tar);
  const key = `look${count++}`;
  await snapshotter.view(key, [diffId]);
  const [layer] = snapshotter.mounts(key).layers;
  await snapshotter.remove(key);
  assert.ok(layer);
  if (layer.file === undefined) return void (await look(layer.directory, diffId));
  execFileSync('fsck.erofs', [layer.file], { stdio: 'pipe', timeout: 60_000 });
  mkdirSync(layer.directory, { recursive: true });
  mountErofs(layer.file, layer.directory);
  try {
    await look(layer.directory, diffId);
  } finally {
    unmount(layer.directory);
  }
}

function untar(file: string): string {
  const target = directory();
  const options = ['--xattrs', '--xattrs-include=*', '--numeric-owner', '-p', '--warning=no-timestamp'];
  execFileSync('tar', [...options, '-xf', file, '-C', target], { timeout: 120_000 });
  return target;
}

function tarOf(tree: string, options: string[]): string {
  const file = path.join(place, `${count++}.tar`);
  execFileSync('tar', [...options, '--numeric-owner', '-cf', file, '-C', tree, '.'], { timeout: 120_000 });
  return file;
}

async function compare(snapshotter: Snapshotter, tar: string): Promise<void> {
  const expected = untar(tar);
  await layerMounted(snapshotter, createReadStream(tar), async (root, diffId) => {
    assert.deepEqual(listTree(root), listTree(expected));
    assert.ok((await buffer(snapshotter.readLayer(diffId))).equals(readFileSync(tar)));
  });
  rmSync(expected, { recursive: true });
}

/** overlayfs sets times of its own, and breaks hard links on change. */
const CONTENTS = { times: false, links: false };

const POSIX = ['--format=posix', '--xattrs', '--xattrs-include=*'];

function richTree(): string {
  const root = directory();
  const at = (name: string): Buffer => Buffer.concat([Buffer.from(`${root}/`), pathOf(name)]);
  for (const [index, size] of [
    0, 1, 100, 2047, 2048, 2049, 4095, 4096, 4097, 6000, 6145, 8192, 1_000_000,
  ].entries()) {
    writeFileSync(at(`size${size}`), Buffer.alloc(size, `content ${size} `));
    setModifiedTime(at(`size${size}`), 1_600_000_000 + index, 123_456_789 * (index % 8));
  }
  setModifiedTime(at('size1'), -100, 5);
  setModifiedTime(at('size100'), 2 ** 33, 0);
  mkdirSync(at('dir/sub/deep'), { recursive: true });
  mkdirSync(at('sticky'));
  chmodSync(at('sticky'), 0o1777);
  writeFileSync(at('setuid'), 'x');
  chownSync(at('setuid'), 1000, 2_000_000_000);
  chmodSync(at('setuid'), 0o6755);
  linkSync(at('size4096'), at('dir/hard'));
  linkSync(at('size4096'), at('dir/sub/hard'));
  symlinkSync('target', at('link'));
  symlinkSync('t'.repeat(4000), at('long-link'));
  symlinkSync('t'.repeat(4095), at('longest-link'));
  lchownSync(at('link'), 5, 6);
  linkSync(at('link'), at('dir/link-too'));
  makeNode(at('null'), S_IFCHR, 0o666, { major: 1, minor: 3 });
  makeNode(at('disk'), S_IFBLK, 0o660, { major: 259, minor: 300_000 });
  makeNode(at('fifo'), S_IFIFO, 0o600, { major: 0, minor: 0 });
  writeFileSync(at(byteString('naïve ☃ name')), 'utf8');
  writeFileSync(at('\xff\xfe not utf8'), 'bytes');
  writeFileSync(at('n'.repeat(255)), 'long');
  writeFileSync(at('new\nline'), 'x');
  setXattr(at('size100'), 'user.empty', Buffer.alloc(0));
  setXattr(at('size100'), 'user.a', Buffer.from([0, 1, 2, 255, 10]));
  setXattr(at('size4096'), 'trusted.t', Buffer.from('trusted'));
  setXattr(at('size6000'), 'user.big', Buffer.alloc(3900, 'v'));
  // cap_net_raw=ep, as setcap writes it: vfs_cap_data of revision 2.
  setXattr(
    at('setuid'),
    'security.capability',
    Buffer.from('0100000200200000000000000000000000000000', 'hex'),
  );
  setXattr(at('dir'), 'user.dir', Buffer.from('of a directory'));
  execFileSync('truncate', ['-s', String(4 * 2 ** 30 + 100), `${root}/sparse`]);
  const fd = openSync(`${root}/sparse`, 'r+');
  for (const position of [0, 12_345, 1 << 20, 4 * 2 ** 30 + 77]) writeSync(fd, 'some data', position);
  closeSync(fd);
  writeFileSync(at('all-hole'), '');
  truncateSync(at('all-hole'), 1 << 20);
  return root;
}

for (const kind of ['erofs', 'overlay'] as const) {
  test(`${kind}: a layer is what tar -x makes: kinds, owners, times, xattrs, sparse, odd names`, async () => {
    const tree = richTree();
    const snapshotter = openSnapshotter(directory(), { kind });
    const tar = tarOf(tree, [...POSIX, '--sparse']);
    await compare(snapshotter, tar);
    await compare(snapshotter, tarOf(tree, [...POSIX, '--sparse', '--sparse-version=0.1']));
    await compare(snapshotter, tarOf(tree, ['--format=gnu', '--sparse']));
  });

  test(`${kind}: random trees are what tar -x makes`, async () => {
    const snapshotter = openSnapshotter(directory(), { kind });
    await fc.assert(
      fc.asyncProperty(fc.array(randomFile(), { maxLength: 60 }), async (files) => {
        const tree = directory();
        for (const file of files) makeRandom(tree, file);
        await compare(snapshotter, tarOf(tree, [...POSIX, '--sparse']));
        rmSync(tree, { recursive: true });
      }),
      { numRuns: 25 },
    );
  });

  test(`${kind}: symlinked directories are followed within the layer, never out of it`, async () => {
    const snapshotter = openSnapshotter(directory(), { kind });
    const outside = directory();
    const members: NewTarMember[] = [
      { entry: { name: 'usr/lib/', type: 'directory' } },
      { entry: { name: 'lib', type: 'symlink', linkName: 'usr/lib' } },
      { entry: { name: 'lib/x' }, data: Buffer.from('in usr/lib') },
      { entry: { name: 'out', type: 'symlink', linkName: outside } },
      { entry: { name: 'out/y' }, data: Buffer.from('inside') },
      { entry: { name: 'up', type: 'symlink', linkName: '../../../../..' } },
      { entry: { name: 'up/z' }, data: Buffer.from('at the root') },
      { entry: { name: '/absolute/./a//b' }, data: Buffer.from('absolute') },
      { entry: { name: 'hard', type: 'hardlink', linkName: '/lib/x' } },
    ];
    await layerMounted(snapshotter, writeTar(members), (root) => {
      assert.equal(readFileSync(`${root}/usr/lib/x`, 'utf8'), 'in usr/lib');
      assert.equal(readFileSync(`${root}/hard`, 'utf8'), 'in usr/lib');
      assert.equal(readFileSync(`${root}${outside}/y`, 'utf8'), 'inside');
      assert.equal(readFileSync(`${root}/z`, 'utf8'), 'at the root');
      assert.equal(readFileSync(`${root}/absolute/a/b`, 'utf8'), 'absolute');
      assert.equal(statSync(`${root}/usr/lib/x`).nlink, 2);
      assert.equal(statSync(`${root}/absolute`).mode, 0o40755);
    });
    assert.deepEqual(readdirSync(outside), []);
  });

  test(`${kind}: whiteouts and opaque directories hide what lies below`, async () => {
    const snapshotter = openSnapshotter(directory(), { kind });
    const file = (name: string, text = name): NewTarMember => ({ entry: { name }, data: Buffer.from(text) });
    const base = await snapshotter.writeLayer(
      writeTar(['a', 'b', 'd/one', 'd/two', 'e/one', 'f/one', 'g', 'h/one'].map((name) => file(name))),
    );
    const top = await snapshotter.writeLayer(
      writeTar([
        file('.wh.a'),
        file('d/.wh.one'),
        file('e/.wh..wh..opq'),
        file('e/new'),
        file('f/new'),
        file('.wh.f'),
        file('.wh.g'),
        file('g', 'again'),
        file('.wh.h'),
        file('h/new'),
        file('.wh..wh.plnk/1.2'),
      ]),
    );
    await snapshotter.prepare('c', [base.diffId, top.diffId]);
    await mounted(snapshotter, 'c', async (root) => {
      assert.deepEqual(readdirSync(root).sort(), ['b', 'd', 'e', 'f', 'g', 'h']);
      assert.deepEqual(readdirSync(`${root}/d`), ['two']);
      assert.deepEqual(readdirSync(`${root}/e`), ['new']);
      assert.deepEqual(readdirSync(`${root}/f`), ['new']);
      assert.deepEqual(readdirSync(`${root}/h`), ['new']);
      assert.equal(readFileSync(`${root}/g`, 'utf8'), 'again');
    });
  });

  test(`${kind}: what a container changes becomes a layer that changes the same`, async () => {
    const snapshotter = openSnapshotter(directory(), { kind });
    const base = await snapshotter.writeLayer(createReadStream(tarOf(richTree(), POSIX.concat('--sparse'))));
    await snapshotter.prepare('c', [base.diffId]);
    let expected: string[] = [];
    let exported = '';
    await mounted(snapshotter, 'c', async (root) => {
      rmSync(`${root}/size100`);
      rmSync(`${root}/dir`, { recursive: true });
      mkdirSync(`${root}/dir`);
      writeFileSync(`${root}/dir/new`, 'new');
      linkSync(`${root}/dir/new`, `${root}/dir/newer`);
      writeFileSync(`${root}/size1`, 'changed');
      execFileSync('setfattr', ['-n', 'user.x', '-v', 'y', `${root}/size1`]);
      symlinkSync('nowhere', `${root}/new-link`);
      chmodSync(`${root}/sticky`, 0o700);
      expected = listTree(root, CONTENTS);
      exported = path.join(place, `${count++}.tar`);
      writeFileSync(exported, await buffer(treeToTar(root, { exclude: (name) => name === 'sparse' })));
    });
    const { upper } = snapshotter.mounts('c');
    const diff = await snapshotter.writeLayer(diffToTar(upper ?? ''));
    await snapshotter.view('again', [base.diffId, diff.diffId]);
    await mounted(snapshotter, 'again', (root) => assert.deepEqual(listTree(root, CONTENTS), expected));
    const unpacked = listTree(untar(exported), CONTENTS);
    assert.deepEqual(
      unpacked,
      expected.filter((line) => !line.startsWith('sparse ')),
    );
  });

  test(`${kind}: 127 layers under one mount`, async () => {
    const snapshotter = openSnapshotter(directory(), { kind });
    const layers: Digest[] = [];
    for (let layer = 0; layer < 127; layer++) {
      const members = [
        { entry: { name: `file${layer}` }, data: Buffer.from(String(layer)) },
        { entry: { name: 'top' }, data: Buffer.from(String(layer)) },
      ];
      layers.push((await snapshotter.writeLayer(writeTar(members))).diffId);
    }
    await snapshotter.prepare('c', layers);
    await mounted(snapshotter, 'c', (root) => {
      assert.equal(readdirSync(root).length, 128);
      assert.equal(readFileSync(`${root}/top`, 'utf8'), '126');
    });
  });
}

test('erofs: a directory of 100,000 entries is found name by name', async () => {
  const snapshotter = openSnapshotter(directory(), { kind: 'erofs' });
  function* members(): Generator<NewTarMember> {
    for (let i = 0; i < 100_000; i++)
      yield { entry: { name: `d/${(i * 7919) % 100_000}-${'x'.repeat(i % 40)}` } };
  }
  await layerMounted(snapshotter, writeTar(members()), (root) => {
    const names = readdirSync(`${root}/d`);
    assert.equal(names.length, 100_000);
    for (const name of names) statSync(`${root}/d/${name}`);
    assert.ok(!existsSync(`${root}/d/absent`));
  });
});

type RandomFile = {
  path: string[];
  kind: 'file' | 'directory' | 'symlink' | 'fifo' | 'device' | 'hardlink' | 'sparse';
  mode: number;
  uid: number;
  seconds: number;
  nanoseconds: number;
  size: number;
  xattr: string;
};

function randomFile(): fc.Arbitrary<RandomFile> {
  const name = fc.oneof(
    fc.constantFrom('a', 'b', 'c', '-', '!', '.a', 'A'),
    fc
      .uint8Array({ minLength: 1, maxLength: 40 })
      .map((bytes) =>
        Buffer.from(bytes.map((byte) => (byte === 0 || byte === 0x2f ? 0x5f : byte))).toString('latin1'),
      ),
  );
  return fc.record({
    path: fc.array(name, { minLength: 1, maxLength: 4 }),
    kind: fc.constantFrom(
      'file',
      'file',
      'file',
      'directory',
      'symlink',
      'fifo',
      'device',
      'hardlink',
      'sparse',
    ),
    mode: fc.integer({ min: 0, max: 0o7777 }),
    uid: fc.constantFrom(0, 1, 65_534, 100_000, 3_000_000),
    seconds: fc.integer({ min: -1000, max: 2 ** 32 }),
    nanoseconds: fc.integer({ min: 0, max: 999_999_999 }),
    size: fc.oneof(fc.integer({ min: 0, max: 10_000 }), fc.integer({ min: 0, max: 300_000 })),
    xattr: fc.string({ maxLength: 300 }),
  });
}

let firstFile = '';

/** Makes it unless something is in the way. */
function makeRandom(root: string, file: RandomFile): void {
  const names = file.path.map((name) => (name === '.' || name === '..' ? '_' : name));
  const name = names.join('/');
  const target = pathOf(`${root}/${name}`);
  try {
    mkdirSync(pathOf(`${root}/${names.slice(0, -1).join('/')}`), { recursive: true });
    if (file.kind === 'directory') mkdirSync(target);
    if (file.kind === 'file') writeFileSync(target, Buffer.alloc(file.size, name), { flag: 'wx' });
    if (file.kind === 'sparse') {
      writeFileSync(target, 'x', { flag: 'wx' });
      truncateSync(target, file.size * 50);
      const fd = openSync(target, 'r+');
      writeSync(fd, Buffer.alloc(1 + (file.size % 9000), 'y'), 0, undefined, file.size * 20);
      closeSync(fd);
    }
    if (file.kind === 'symlink') symlinkSync(pathOf(name.repeat(1 + (file.size % 20))), target);
    if (file.kind === 'fifo') makeNode(target, S_IFIFO, 0o600, { major: 0, minor: 0 });
    if (file.kind === 'device')
      makeNode(target, S_IFCHR, 0o600, { major: 1 + (file.size % 200), minor: file.size });
    if (file.kind === 'hardlink') linkSync(firstFile, target);
  } catch {
    return;
  }
  if (file.kind === 'file') firstFile = target.toString('latin1');
  if (file.kind === 'hardlink') return;
  lchownSync(target, file.uid, file.uid);
  if (file.kind !== 'symlink') chmodSync(target, file.mode);
  if (file.kind === 'file' || file.kind === 'directory')
    setXattr(target, 'user.test', Buffer.from(file.xattr));
  setModifiedTime(target, file.seconds, file.nanoseconds);
}
