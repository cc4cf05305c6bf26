import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readTar } from '#/archive/tar-reader.ts';
import { readToEnd } from '#/base/streams.ts';
import {
  configOf,
  dockerArchive,
  load,
  loadSimple,
  sha256,
  streamOf,
  tarOf,
  testImages,
} from './test-images.ts';

async function membersOf(tar: Buffer): Promise<Map<string, Buffer>> {
  const members = new Map<string, Buffer>();
  for await (const { entry, bytes } of readTar(streamOf(tar))) members.set(entry.name, await bytes());
  return members;
}

test('save writes an archive that loads as the same images, and the same bytes each time', async (t) => {
  const { images } = await testImages(t);
  const shared = await tarOf({ base: 'x'.repeat(3000) });
  const top = await tarOf({ top: 'y' });
  await load(images, dockerArchive(configOf([shared]), [shared], ['base:1', 'base:2']));
  await load(images, dockerArchive(configOf([shared, top]), [shared, top], ['app:1']));
  const first = await readToEnd(await images.save(['base', 'app:1']));
  assert.ok(first.equals(await readToEnd(await images.save(['base', 'app:1']))));

  const other = await testImages(t);
  const told = await Array.fromAsync(other.images.load(streamOf(first), { quiet: true }));
  assert.deepEqual(
    told.map((message) => message.stream),
    ['Loaded image: base:1\n', 'Loaded image: base:2\n', 'Loaded image: app:1\n'],
  );
  assert.equal(other.images.resolve('app:1').id, images.resolve('app:1').id);
  assert.ok(first.equals(await readToEnd(await other.images.save(['base', 'app:1']))));
});

test('save writes what docker and OCI tools look for', async (t) => {
  const { images } = await testImages(t);
  const id = await loadSimple(images, 'x', ['localhost:5000/app:1']);
  const members = await membersOf(await readToEnd(await images.save(['localhost:5000/app:1', id])));
  const config = `blobs/sha256/${id.slice(7)}`;
  assert.equal(sha256(members.get(config) ?? Buffer.alloc(0)), id);
  const manifest: unknown = JSON.parse(String(members.get('manifest.json')));
  const layer = `blobs/sha256/${images.resolve(id).layers[0]?.slice(7)}`;
  assert.deepEqual(manifest, [{ Config: config, RepoTags: ['localhost:5000/app:1'], Layers: [layer] }]);
  assert.equal(String(members.get('oci-layout')), '{"imageLayoutVersion":"1.0.0"}\n');
  for (const [name, bytes] of members) {
    const hex = /^blobs\/sha256\/(.+)$/.exec(name)?.[1];
    if (hex !== undefined) assert.equal(sha256(bytes), `sha256:${hex}`);
  }
});

test('save refuses names of nothing before it begins', async (t) => {
  const { images } = await testImages(t);
  await assert.rejects(images.save(['nothing']), { message: 'No such image: nothing' });
  await assert.rejects(images.save(['nothing:1']), { message: 'reference does not exist' });
});

test('save lets layers go when the reader leaves', async (t) => {
  const { images, snapshotter } = await testImages(t);
  await loadSimple(images, 'x', ['app:1']);
  const stream = await images.save(['app:1']);
  await images.remove('app:1');
  assert.equal(snapshotter.listLayers().length, 1);
  stream.destroy();
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.equal(snapshotter.listLayers().length, 0);
});
