import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { readTar } from './tar-reader.ts';

interface Read {
  name: string;
  type: string;
  size: number;
  linkName: string;
  text: string;
}

async function* inChunks(tar: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < tar.length; at += size) yield tar.subarray(at, at + size);
}

async function readAll(tar: Buffer, chunk = 1000): Promise<Read[]> {
  const members: Read[] = [];
  for await (const { entry, bytes } of readTar(inChunks(tar, chunk))) {
    const text = (await bytes()).toString();
    members.push({ name: entry.name, type: entry.type, size: entry.size, linkName: entry.linkName, text });
  }
  return members;
}

function makeTar(options: string[], build: (directory: string) => string[]): Buffer {
  const directory = mkdtempSync(path.join(tmpdir(), 'tar-reader-'));
  try {
    const names = build(directory);
    return execFileSync('tar', [...options, '-cf', '-', '-C', directory, '--', ...names], {
      timeout: 10_000,
    });
  } finally {
    rmSync(directory, { recursive: true });
  }
}

for (const format of ['v7', 'ustar', 'gnu', 'oldgnu', 'posix']) {
  test(`readTar() reads the ${format} format in chunks of any size`, async () => {
    const tar = makeTar([`--format=${format}`], (directory) => {
      writeFileSync(path.join(directory, 'a'), 'text of a');
      writeFileSync(path.join(directory, 'empty'), '');
      symlinkSync('a', path.join(directory, 'link'));
      return ['a', 'empty', 'link'];
    });
    for (const chunk of [1, 511, 513, tar.length]) {
      assert.deepEqual(await readAll(tar, chunk), [
        { name: 'a', type: 'file', size: 9, linkName: '', text: 'text of a' },
        { name: 'empty', type: 'file', size: 0, linkName: '', text: '' },
        { name: 'link', type: 'symlink', size: 0, linkName: 'a', text: '' },
      ]);
    }
  });
}

for (const format of ['gnu', 'posix']) {
  test(`readTar() reads long names of the ${format} format`, async () => {
    const long = 'n'.repeat(200);
    const tar = makeTar([`--format=${format}`], (directory) => {
      writeFileSync(path.join(directory, long), 'x');
      symlinkSync('t'.repeat(300), path.join(directory, 'link'));
      return [long, 'link'];
    });
    const [file, link] = await readAll(tar);
    assert.equal(file?.name, long);
    assert.equal(link?.linkName, 't'.repeat(300));
  });
}

for (const [label, options] of [
  ['old GNU', ['--format=gnu']],
  ['0.0', ['--format=posix', '--sparse-version=0.0']],
  ['0.1', ['--format=posix', '--sparse-version=0.1']],
  ['1.0', ['--format=posix', '--sparse-version=1.0']],
] as const) {
  test(`readTar() reads sparse files of format ${label}`, async () => {
    const tar = makeTar(['--sparse', ...options], (directory) => {
      const file = path.join(directory, 'holes');
      for (let i = 0; i < 30; i++) {
        writeFileSync(file, 'data', { flag: 'a' });
        truncateSync(file, (i + 1) * 65536);
      }
      return ['holes'];
    });
    for await (const { entry, bytes } of readTar(inChunks(tar, 700))) {
      assert.equal(entry.name, 'holes');
      assert.equal(entry.size, 30 * 65536);
      assert.equal(entry.sparse?.length, 30);
      const stored = await bytes();
      let at = 0;
      for (const { length } of entry.sparse ?? []) {
        assert.equal(stored.subarray(at, at + 4).toString(), 'data');
        at += length;
      }
      assert.equal(at, stored.length);
    }
  });
}

test('readTar() refuses what is torn or no tar', async () => {
  const tar = makeTar([], (directory) => {
    writeFileSync(path.join(directory, 'a'), 'x'.repeat(5000));
    return ['a'];
  });
  await assert.rejects(readAll(tar.subarray(0, 300)), { kind: 'invalid', message: /unexpected EOF/ });
  await assert.rejects(readAll(tar.subarray(0, 2000)), { kind: 'invalid', message: /unexpected EOF/ });
  await assert.rejects(readAll(Buffer.alloc(2048, 'no tar')), {
    kind: 'invalid',
    message: /invalid tar header/,
  });
  assert.deepEqual(await readAll(Buffer.alloc(0)), []);
  assert.equal((await readAll(Buffer.concat([tar, Buffer.from('garbage')]))).length, 1);
});
