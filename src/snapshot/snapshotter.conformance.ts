import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { isKind } from '#/base/errors.ts';
import { sealHeader } from '#/archive/tar-header.ts';
import { encodeHeader, type NewTarMember, writeTar } from '#/archive/tar-writer.ts';
import { parseDigest } from '#/oci/digest.ts';
import { openSnapshotter, type OpenSnapshotterOptions } from './open-snapshotter.ts';
import type { Snapshotter } from './snapshotter.ts';

/** What every snapshotter does, whatever its layers look like. The members belong to whoever runs this. */
export function snapshotterConformance(kind: OpenSnapshotterOptions['kind']): void {
  describe(`the ${kind} snapshotter`, () => {
    for (const [label, make] of tars()) {
      test(`writeLayer() and readLayer() keep every byte of ${label}`, async () => {
        await withSnapshotter(kind, async (snapshotter) => {
          const tar = await make();
          const info = await snapshotter.writeLayer(Readable.from(pieces(tar)));
          assert.equal(info.diffId, digestOf(tar));
          assert.deepEqual(await buffer(snapshotter.readLayer(info.diffId)), tar);
          assert.deepEqual(snapshotter.statLayer(info.diffId), info);
          assert.deepEqual(snapshotter.listLayers(), [info]);
        });
      });
    }

    for (const [label, members, message] of hostileMembers()) {
      test(`writeLayer() refuses ${label} and leaves nothing`, async () => {
        await withSnapshotter(kind, async (snapshotter, root) => {
          const tar = Array.isArray(members) ? await buffer(writeTar(members)) : members;
          await assert.rejects(snapshotter.writeLayer(Readable.from([tar])), { kind: 'invalid', message });
          assert.deepEqual(snapshotter.listLayers(), []);
          assert.deepEqual(remains(root), []);
        });
      });
    }

    test('writeLayer() keeps or refuses whatever a tar is turned into, and leaves nothing of what it refuses', async () => {
      const tar = gnuTar(['--format=posix', '--sparse', '--exclude=large']);
      const headers = Array.from({ length: tar.length / 512 }, (_, block) => block * 512).filter(
        (at) => tar.toString('latin1', at + 257, at + 262) === 'ustar',
      );
      const change = fc.record({
        header: fc.constantFrom(...headers),
        at: fc.nat({ max: 511 }),
        byte: fc.oneof(fc.constantFrom(0, 0x2e, 0x2f, 0x31, 0x37, 0x80, 0xff), fc.nat({ max: 255 })),
      });
      await withSnapshotter(kind, async (snapshotter, root) => {
        const property = fc.asyncProperty(
          fc.array(change, { minLength: 1, maxLength: 4 }),
          async (changes) => {
            const changed = Buffer.from(tar);
            for (const { header, at, byte } of changes) {
              changed[header + at] = byte;
              sealHeader(changed.subarray(header, header + 512));
            }
            try {
              const { diffId } = await snapshotter.writeLayer(Readable.from([changed]));
              assert.ok((await buffer(snapshotter.readLayer(diffId))).equals(changed));
              await snapshotter.removeLayer(diffId);
            } catch (error) {
              if (!isKind(error, 'invalid')) throw error;
            }
            assert.deepEqual(remains(root), []);
          },
        );
        await fc.assert(property, { numRuns: 60 });
      });
    });

    test('writeLayer() counts the bytes of regular files', async () => {
      await withSnapshotter(kind, async (snapshotter) => {
        const info = await write(snapshotter, [
          { entry: { name: 'a' }, data: Buffer.alloc(5000, 1) },
          { entry: { name: 'b', type: 'hardlink', linkName: 'a' } },
          { entry: { name: 'c' }, data: Buffer.alloc(3) },
        ]);
        assert.equal(info.size, 5003);
        assert.ok(info.diskSize >= 5003);
      });
    });

    test('writeLayer() refuses another digest than the expected one', async () => {
      await withSnapshotter(kind, async (snapshotter, root) => {
        const tar = await buffer(writeTar([{ entry: { name: 'a' }, data: Buffer.from('x') }]));
        const expected = parseDigest(`sha256:${'0'.repeat(64)}`);
        await assert.rejects(snapshotter.writeLayer(Readable.from([tar]), { expected }), {
          kind: 'invalid',
          message: `layer digest mismatch: expected ${expected}, got ${digestOf(tar)}`,
        });
        assert.deepEqual(remains(root), []);
        const info = await snapshotter.writeLayer(Readable.from([tar]), { expected: digestOf(tar) });
        assert.deepEqual(await snapshotter.writeLayer(Readable.from([tar]), { expected: info.diffId }), info);
        const other = Readable.from([tar, Buffer.alloc(512)]);
        await assert.rejects(snapshotter.writeLayer(other, { expected: info.diffId }), { kind: 'invalid' });
      });
    });

    test('writeLayer() of one layer, several times at once, makes one', async () => {
      await withSnapshotter(kind, async (snapshotter, root) => {
        const members = [{ entry: { name: 'a' }, data: Buffer.alloc(100_000, 7) }];
        const infos = await Promise.all([1, 2, 3].map(() => write(snapshotter, members)));
        assert.equal(new Set(infos.map((info) => info.diffId)).size, 1);
        assert.equal(snapshotter.listLayers().length, 1);
        assert.deepEqual(readdirSync(path.join(root, 'tmp')), []);
      });
    });

    test('writeLayer() ends when it is aborted, and passes a failing stream on', async () => {
      await withSnapshotter(kind, async (snapshotter, root) => {
        const stalled = new Readable({ read() {} });
        stalled.push(encodeHeader({ name: 'a', size: 1000 }));
        const abort = new AbortController();
        setTimeout(() => abort.abort(new Error('no more')), 50);
        await assert.rejects(snapshotter.writeLayer(stalled, { signal: abort.signal }), /no more/);
        async function* failing(): AsyncGenerator<Buffer> {
          yield encodeHeader({ name: 'a', size: 1000 });
          throw new Error('the other side is gone');
        }
        await assert.rejects(snapshotter.writeLayer(Readable.from(failing())), /the other side is gone/);
        assert.deepEqual(remains(root), []);
      });
    });

    test('removeLayer() leaves nothing, and a removed layer is not read or mounted', async () => {
      await withSnapshotter(kind, async (snapshotter, root) => {
        const { diffId } = await write(snapshotter, [{ entry: { name: 'a' }, data: Buffer.from('x') }]);
        await snapshotter.removeLayer(diffId);
        await snapshotter.removeLayer(diffId);
        assert.equal(snapshotter.statLayer(diffId), undefined);
        assert.deepEqual(remains(root), []);
        await assert.rejects(buffer(snapshotter.readLayer(diffId)), { kind: 'notFound' });
        await assert.rejects(snapshotter.prepare('c', [diffId]), { kind: 'notFound' });
      });
    });

    test('prepare() and view() make snapshots that mounts() states, base first', async () => {
      await withSnapshotter(kind, async (snapshotter) => {
        const base = await write(snapshotter, [{ entry: { name: 'base' } }]);
        const top = await write(snapshotter, [{ entry: { name: 'top' } }]);
        const layers = [base.diffId, top.diffId];
        await snapshotter.prepare('writable', layers);
        await snapshotter.view('view', layers);
        await assert.rejects(snapshotter.prepare('view', layers), { kind: 'conflict' });
        await assert.rejects(snapshotter.prepare('../out', layers), { kind: 'invalid' });

        const mounts = snapshotter.mounts('writable');
        assert.deepEqual(
          mounts.layers.map((layer) => layer.diffId),
          layers,
        );
        assert.equal(statSync(mounts.upper ?? '').mode & 0o7777, 0o755);
        assert.ok(existsSync(mounts.work ?? ''));
        assert.equal(snapshotter.mounts('view').upper, undefined);
        assert.deepEqual(snapshotter.listSnapshots().sort(), ['view', 'writable']);

        await snapshotter.remove('writable');
        await snapshotter.remove('writable');
        assert.ok(!existsSync(mounts.upper ?? ''));
        assert.throws(() => snapshotter.mounts('writable'), { kind: 'notFound' });
      });
    });

    test('prepare() makes a snapshot of a limited size in a file that takes no space yet', async () => {
      await withSnapshotter(kind, async (snapshotter) => {
        const base = await write(snapshotter, [{ entry: { name: 'base' } }]);
        await snapshotter.prepare('limited', [base.diffId], { size: 1 << 30 });
        await assert.rejects(snapshotter.prepare('limited', [base.diffId], { size: 1 << 30 }), {
          kind: 'conflict',
        });
        const { disk, upper, work } = snapshotter.mounts('limited');
        assert.ok(disk !== undefined);
        assert.equal(upper, path.join(disk.directory, 'upper'));
        assert.equal(work, path.join(disk.directory, 'work'));
        const { size, blocks } = statSync(disk.file);
        assert.ok(size > 1 << 30 && size < 1.03 * 2 ** 30, `${size} bytes`);
        assert.ok(blocks * 512 < 1 << 20, `${blocks} blocks`);
        await snapshotter.remove('limited');
        assert.ok(!existsSync(disk.file));
      });
    });

    test('replace() puts one snapshot in the place of another, or of none', async () => {
      await withSnapshotter(kind, async (snapshotter, root) => {
        const { diffId } = await write(snapshotter, [{ entry: { name: 'base' } }]);
        await snapshotter.prepare('one', [diffId]);
        for (const content of ['first', 'second']) {
          await snapshotter.prepare('two', [diffId]);
          writeFileSync(path.join(snapshotter.mounts('two').upper ?? '', 'file'), content);
          snapshotter.replace('one', 'two');
          assert.deepEqual(snapshotter.listSnapshots(), ['one']);
          assert.equal(
            readFileSync(path.join(snapshotter.mounts('one').upper ?? '', 'file'), 'utf8'),
            content,
          );
          await snapshotter.remove('one');
        }
        assert.throws(() => snapshotter.replace('one', 'two'), { kind: 'notFound' });
        assert.deepEqual(readdirSync(path.join(root, 'snapshots')), []);
      });
    });

    test('mounts() leaves out the layers below one with an opaque root', async () => {
      await withSnapshotter(kind, async (snapshotter) => {
        const base = await write(snapshotter, [{ entry: { name: 'base' } }]);
        const opaque = await write(snapshotter, [
          { entry: { name: '.wh..wh..opq' } },
          { entry: { name: 'new' } },
        ]);
        await snapshotter.view('view', [base.diffId, opaque.diffId]);
        assert.deepEqual(
          snapshotter.mounts('view').layers.map((layer) => layer.diffId),
          [opaque.diffId],
        );
      });
    });

    test('what was written is there after a crash, and tidy() deletes the remains', async () => {
      await withSnapshotter(kind, async (snapshotter, root) => {
        const info = await write(snapshotter, [{ entry: { name: 'a' }, data: Buffer.from('x') }]);
        await snapshotter.prepare('kept', [info.diffId]);
        const hex = 'f'.repeat(64);
        writeFileSync(path.join(root, 'layers', `${hex}.recipe`), 'no image to it');
        writeFileSync(path.join(root, 'tmp', 'half'), 'written');
        mkdirSync(path.join(root, 'tmp', 'tree', 'deep'), { recursive: true });
        mkdirSync(path.join(root, 'snapshots', 'half'));

        const again = openSnapshotter(root, { kind });
        await again.tidy();
        assert.deepEqual(again.listLayers(), [info]);
        assert.deepEqual(again.listSnapshots(), ['kept']);
        assert.deepEqual(readdirSync(path.join(root, 'tmp')), []);
        assert.deepEqual(readdirSync(path.join(root, 'snapshots')), ['kept']);
        assert.equal(readdirSync(path.join(root, 'layers')).length, 2);
        assert.equal((await buffer(again.readLayer(info.diffId))).length, 2048);
      });
    });
  });
}

/** A snapshotter in a directory of its own, which is deleted. */
export async function withSnapshotter(
  kind: OpenSnapshotterOptions['kind'],
  use: (snapshotter: Snapshotter, root: string) => Promise<void>,
  options: Partial<OpenSnapshotterOptions> = {},
): Promise<void> {
  const root = mkdtempSync(path.join(tmpdir(), `hull-${kind}-`));
  try {
    await use(openSnapshotter(root, { ...options, kind }), root);
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

export async function write(
  snapshotter: Snapshotter,
  members: NewTarMember[],
): ReturnType<Snapshotter['writeLayer']> {
  return snapshotter.writeLayer(writeTar(members));
}

function digestOf(bytes: Buffer): ReturnType<typeof parseDigest> {
  return parseDigest(`sha256:${createHash('sha256').update(bytes).digest('hex')}`);
}

function remains(root: string): string[] {
  return [...readdirSync(path.join(root, 'tmp')), ...readdirSync(path.join(root, 'layers'))];
}

function* pieces(bytes: Buffer): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += 10_007) yield bytes.subarray(at, at + 10_007);
}

function tars(): [label: string, make: () => Buffer | Promise<Buffer>][] {
  const formats = ['v7', 'oldgnu', 'gnu', 'ustar', 'posix'];
  return [
    ...formats.map((format): [string, () => Buffer] => [
      `GNU tar's ${format} format`,
      () => gnuTar([`--format=${format}`, ...(/gnu|posix/.test(format) ? ['--sparse'] : [])]),
    ]),
    ['an empty tar', () => Buffer.alloc(1024)],
    ['an empty stream', () => Buffer.alloc(0)],
    ['a tar without an end', () => gnuTar([]).subarray(0, 512)],
    ['a tar with garbage at its end', () => Buffer.concat([gnuTar([]), Buffer.from('garbage')])],
    [
      'members that replace each other',
      () =>
        buffer(
          writeTar([
            { entry: { name: 'a' }, data: Buffer.from('first') },
            { entry: { name: 'a' }, data: Buffer.from('second') },
            { entry: { name: 'd/x' }, data: Buffer.from('third') },
            { entry: { name: 'd' }, data: Buffer.from('a file now') },
            { entry: { name: 'd', type: 'directory' } },
            { entry: { name: 'd/x' }, data: Buffer.alloc(10_000, 9) },
            { entry: { name: '.wh.gone' }, data: Buffer.from('a whiteout with data') },
          ]),
        ),
    ],
  ];
}

function gnuTar(options: string[]): Buffer {
  const directory = mkdtempSync(path.join(tmpdir(), 'hull-tar-'));
  try {
    const file = (name: string, content: Buffer): void => writeFileSync(path.join(directory, name), content);
    file('small', Buffer.from('text'));
    file('empty', Buffer.alloc(0));
    file('large', Buffer.alloc(3_000_000, 'large '));
    file('odd', Buffer.alloc(4096 * 3 + 17, 'odd'));
    mkdirSync(path.join(directory, 'dir/deep'), { recursive: true });
    symlinkSync('../small', path.join(directory, 'dir/link'));
    execFileSync('truncate', ['-s', '3M', path.join(directory, 'holes')]);
    execFileSync('ln', [path.join(directory, 'small'), path.join(directory, 'dir/hard')]);
    return execFileSync('tar', [...options, '-cf', '-', '-C', directory, '.'], {
      maxBuffer: 1 << 26,
      timeout: 10_000,
    });
  } finally {
    rmSync(directory, { recursive: true });
  }
}

function hostileMembers(): [label: string, members: NewTarMember[] | Buffer, message: RegExp][] {
  const file = (name: string): NewTarMember => ({ entry: { name }, data: Buffer.from('x') });
  const link = (name: string, linkName: string): NewTarMember => ({
    entry: { name, type: 'hardlink', linkName },
  });
  const symlink = (name: string, linkName: string): NewTarMember => ({
    entry: { name, type: 'symlink', linkName },
  });
  const torn = Buffer.concat([encodeHeader({ name: 'a', size: 100_000 }), Buffer.alloc(5000)]);
  const bomb = encodeHeader({ name: 'bomb', size: 2 ** 50 });
  return [
    ['a member outside the tree', [file('../x')], /"\.\.\/x" is outside of the archive's root/],
    ['a member that climbs out', [file('a/../../x')], /is outside of the archive's root/],
    [
      'a hard link out of the tree',
      [link('x', '../../etc/passwd')],
      /invalid hardlink "x" -> "..\/..\/etc\/passwd"/,
    ],
    ['a hard link to nothing', [link('x', '/etc/passwd')], /invalid hardlink.*is not in the archive/],
    ['a hard link to a directory', [file('d/x'), link('y', 'd')], /the target is a directory/],
    ['a hard link through a symlink', [symlink('s', '/etc'), link('y', 's/passwd')], /is not in the archive/],
    ['a symlink that names itself', [symlink('s', 's'), file('s/x')], /too many levels of symbolic links/],
    ['a file as a directory', [file('f'), file('f/x')], /"f" is not a directory/],
    ['a file as the root', [file('.')], /is the root directory/],
    ['a name of 256 bytes', [file('n'.repeat(256))], /file name too long/],
    ['a path of over 4096 bytes', [file(`${'d/'.repeat(2100)}x`)], /file name too long/],
    ['a path too deep', [file(`${'d/'.repeat(1025)}x`)], /file name too long/],
    ['a truncated tar', torn, /unexpected EOF/],
    ['more data than there can be room for', Buffer.concat([bomb, Buffer.alloc(512)]), /bytes of data/],
    ['what is no tar', Buffer.alloc(4096, 'no tar'), /invalid tar header/],
    ['an extended header over a megabyte', bigExtendedHeader(), /extended header of 1048577 bytes/],
  ];
}

function bigExtendedHeader(): Buffer {
  const header = Buffer.from(encodeHeader({ name: 'PaxHeader', size: (1 << 20) + 1 }));
  header.write('x', 156);
  header.fill(0x20, 148, 156);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return header;
}
