import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { readRootedFile } from './rooted-file.ts';

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
