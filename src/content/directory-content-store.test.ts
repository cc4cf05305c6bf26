import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, rmSync, utimesSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { isKind } from '#/base/errors.ts';
import { readToEnd } from '#/base/streams.ts';
import type { Digest } from '#/oci/digest.ts';
import { DirectoryContentStore } from './directory-content-store.ts';

async function temporaryStore(t: TestContext): Promise<{ root: string; store: DirectoryContentStore }> {
  const root = mkdtempSync(path.join(tmpdir(), 'hull-content-'));
  t.after(() => rmSync(root, { recursive: true }));
  return { root, store: await DirectoryContentStore.open(root) };
}

function digestOf(text: string): Digest {
  return `sha256:${createHash('sha256').update(text).digest('hex')}`;
}

test('DirectoryContentStore gives back what was put, whole and in ranges', async (t) => {
  const { store } = await temporaryStore(t);
  const digest = await store.put(Buffer.from('hello world'));
  assert.equal(digest, digestOf('hello world'));
  assert.equal(await store.put(Buffer.from('hello world')), digest);
  assert.equal(String(await store.readAll(digest)), 'hello world');
  assert.equal(String(await readToEnd(store.read(digest, { offset: 6 }))), 'world');
  assert.equal(String(await readToEnd(store.read(digest, { offset: 2, length: 3 }))), 'llo');
  assert.equal(String(await readToEnd(store.read(digest, { length: 0 }))), '');
  assert.equal((await store.info(digest))?.size, 11);
  assert.deepEqual(
    (await Array.fromAsync(store.list())).map((info) => info.digest),
    [digest],
  );
  await store.remove(digest);
  await store.remove(digest);
  assert.equal(await store.info(digest), undefined);
});

test('DirectoryContentStore answers notFound for a blob it does not have, and invalid over the limit', async (t) => {
  const { store } = await temporaryStore(t);
  await assert.rejects(store.readAll(digestOf('x')), (error) => isKind(error, 'notFound'));
  await assert.rejects(readToEnd(store.read(digestOf('x'))), (error) => isKind(error, 'notFound'));
  const digest = await store.put(Buffer.from('hello world'));
  await assert.rejects(store.readAll(digest, 10), (error) => isKind(error, 'invalid'));
});

test('DirectoryContentStore takes up a cut-off write, also after a reopen', async (t) => {
  const { root, store } = await temporaryStore(t);
  {
    await using writer = await store.write('layer');
    await writer.append(Buffer.from('hello '));
  }
  const again = await DirectoryContentStore.open(root);
  await using writer = await again.write('layer');
  assert.equal(writer.offset, 6);
  await writer.append(Buffer.from('world'));
  assert.equal(await writer.commit({ digest: digestOf('hello world'), size: 11 }), digestOf('hello world'));
});

test('DirectoryContentStore refuses lying digests and sizes and keeps nothing of them', async (t) => {
  const { root, store } = await temporaryStore(t);
  for (const expected of [{ digest: digestOf('other') }, { size: 4 }]) {
    await using writer = await store.write('layer');
    assert.equal(writer.offset, 0);
    await writer.append(Buffer.from('hello'));
    await assert.rejects(writer.commit(expected), (error) => isKind(error, 'invalid'));
  }
  assert.deepEqual(readdirSync(path.join(root, 'ingest')), []);
  assert.deepEqual(readdirSync(path.join(root, 'blobs/sha256')), []);
});

test('DirectoryContentStore makes no path of what is no digest', async (t) => {
  const { store } = await temporaryStore(t);
  const hostile = [
    'sha256:../../../etc/passwd',
    `sha256:${'A'.repeat(64)}`,
    'sha256:',
    'md5:00',
    '',
    `sha256:${'a'.repeat(64)}/`,
  ];
  for (const text of hostile) {
    const digest = text as Digest;
    await assert.rejects(store.info(digest), (error) => isKind(error, 'invalid'));
    await assert.rejects(store.remove(digest), (error) => isKind(error, 'invalid'));
    assert.throws(
      () => store.read(digest),
      (error) => isKind(error, 'invalid'),
    );
  }
});

test('DirectoryContentStore lets one writer of a ref wait for the other', async (t) => {
  const { store } = await temporaryStore(t);
  const order: string[] = [];
  const write = async (name: string) => {
    await using writer = await store.write('../same');
    order.push(`${name} in`);
    if (writer.offset === 0) await writer.append(Buffer.from('x'));
    order.push(`${name} out`);
  };
  await Promise.all([write('a'), write('b')]);
  assert.deepEqual(order, ['a in', 'a out', 'b in', 'b out']);
});

test('DirectoryContentStore.open() deletes remains older than a day', async (t) => {
  const { root, store } = await temporaryStore(t);
  for (const ref of ['old', 'new']) {
    await using writer = await store.write(ref);
    await writer.append(Buffer.from(ref));
  }
  const old = path.join(root, 'ingest', createHash('sha256').update('old').digest('hex'));
  utimesSync(old, 1, 1);
  const again = await DirectoryContentStore.open(root);
  assert.equal(readdirSync(path.join(root, 'ingest')).length, 1);
  await using writer = await again.write('new');
  assert.equal(writer.offset, 3);
});
