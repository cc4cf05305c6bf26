import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Trash } from './trash.ts';

function scratch(t: TestContext): string {
  const directory = mkdtempSync(path.join(tmpdir(), 'hull-trash-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

test('discard() frees the place at once, and the tree is deleted afterwards', async (t) => {
  const directory = scratch(t);
  const trash = new Trash(path.join(directory, 'trash'));
  const place = path.join(directory, 'place');
  for (const text of ['one', 'two']) {
    mkdirSync(path.join(place, 'below'), { recursive: true });
    writeFileSync(path.join(place, 'below', 'file'), text);
    trash.discard(place);
    assert.ok(!existsSync(place));
  }
  await trash.settled();
  assert.deepEqual(readdirSync(path.join(directory, 'trash')), []);
});

test('what is discarded is deleted though nobody waits for it', async (t) => {
  const directory = scratch(t);
  const trash = path.join(directory, 'trash');
  const place = path.join(directory, 'place');
  mkdirSync(place);
  new Trash(trash).discard(place);
  assert.equal(readdirSync(trash).length, 1);
  while (readdirSync(trash).length > 0) await sleep(10);
});

test('discard() takes what is not there for discarded', (t) => {
  const directory = scratch(t);
  new Trash(path.join(directory, 'trash')).discard(path.join(directory, 'nothing'));
});

test('a new Trash deletes what the process before it left', async (t) => {
  const directory = scratch(t);
  mkdirSync(path.join(directory, 'left', 'below'), { recursive: true });
  const trash = new Trash(directory);
  await trash.settled();
  assert.deepEqual(readdirSync(directory), []);
});
