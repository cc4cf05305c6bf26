import assert from 'node:assert/strict';
import { closeSync, mkdirSync, mkdtempSync, openSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { openBeneath, readRootedFile } from './rooted-file.ts';

test('readRootedFile() follows links as if the directory were the root', (t) => {
  const outside = mkdtempSync(path.join(tmpdir(), 'hull-rooted-'));
  t.after(() => rmSync(outside, { recursive: true, force: true }));
  const root = path.join(outside, 'root');
  mkdirSync(path.join(root, 'etc'), { recursive: true });
  mkdirSync(path.join(root, 'real'));
  writeFileSync(path.join(outside, 'secret'), 'outside');
  writeFileSync(path.join(root, 'real/file'), 'inside');
  writeFileSync(path.join(root, 'secret'), 'of the tree');
  symlinkSync('/real/file', path.join(root, 'etc/absolute'));
  symlinkSync('../../../secret', path.join(root, 'etc/up'));
  symlinkSync('loop', path.join(root, 'etc/loop'));
  const read = (file: string): string | undefined => readRootedFile(root, file, 100)?.toString();
  assert.equal(read('/etc/absolute'), 'inside');
  assert.equal(read('/etc/up'), 'of the tree');
  assert.equal(read('/etc/loop'), undefined);
  assert.equal(read('/etc/none'), undefined);
  assert.equal(read('/real'), undefined);
  assert.throws(() => readRootedFile(root, '/secret', 3), { kind: 'invalid' });
});

test('openBeneath() follows links as long as they stay below, and refuses those that lead out', (t) => {
  const outside = mkdtempSync(path.join(tmpdir(), 'hull-beneath-'));
  t.after(() => rmSync(outside, { recursive: true, force: true }));
  const base = path.join(outside, 'base');
  mkdirSync(path.join(base, 'a/b'), { recursive: true });
  writeFileSync(path.join(base, 'a/b/file'), '');
  symlinkSync('a', path.join(base, 'inside'));
  symlinkSync('../a/b', path.join(base, 'a/back'));
  symlinkSync('../..', path.join(base, 'a/up'));
  symlinkSync('/etc', path.join(base, 'etc'));
  symlinkSync('/proc/self/root', path.join(base, 'magic'));
  const directory = openSync(base, 'r');
  t.after(() => closeSync(directory));
  for (const inside of ['a/b/file', 'inside/b/file', 'a/back/file', 'a/../a', '.'])
    closeSync(openBeneath(directory, inside));
  for (const [out, code] of [
    ['..', 'EXDEV'],
    ['a/../..', 'EXDEV'],
    ['a/up', 'EXDEV'],
    ['etc/passwd', 'EXDEV'],
    ['/etc', 'EXDEV'],
    ['magic/etc', 'EXDEV'],
    ['none', 'ENOENT'],
  ] as const) {
    assert.throws(() => openBeneath(directory, out), { code }, out);
  }
});
