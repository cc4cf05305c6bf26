import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { chooseKind } from './choose-kind.ts';

const root = mkdtempSync(path.join(tmpdir(), 'hull-kind-'));
after(() => rmSync(root, { recursive: true }));
const HEX = 'ab'.repeat(32);
const can = (): undefined => undefined;
const cannot = (): string => 'no loop devices';

test('chooseKind() takes EROFS where the host mounts it, and says why not elsewhere', () => {
  const empty = path.join(root, 'empty');
  assert.deepEqual(chooseKind(empty, undefined, can), { kind: 'erofs' });
  assert.deepEqual(chooseKind(empty, undefined, cannot), { kind: 'overlay', reason: 'no loop devices' });
  assert.deepEqual(chooseKind(empty, 'overlay', can), { kind: 'overlay' });
  assert.throws(() => chooseKind(empty, 'erofs', cannot), {
    kind: 'unavailable',
    message: /: no loop devices$/,
  });
});

test('chooseKind() keeps to the layers that are there', () => {
  const [directories, images] = [path.join(root, 'directories'), path.join(root, 'images')];
  mkdirSync(path.join(directories, 'layers', HEX), { recursive: true });
  mkdirSync(path.join(images, 'layers'), { recursive: true });
  writeFileSync(path.join(images, 'layers', `${HEX}.erofs`), '');
  assert.deepEqual(chooseKind(directories, undefined, can), { kind: 'overlay' });
  assert.deepEqual(chooseKind(images, undefined, can), { kind: 'erofs' });
  assert.throws(() => chooseKind(images, undefined, cannot), { kind: 'unavailable' });
});
