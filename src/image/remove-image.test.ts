import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nowNanos } from '#/base/time.ts';
import { configOf, dockerArchive, load, loadSimple, sha256, tarOf, testImages } from './test-images.ts';

const CONTAINER = 'c'.repeat(64);

test('remove takes a name, and with the last one the image and the layers that were only its', async (t) => {
  const { images, snapshotter, events, unmounted } = await testImages(t);
  const shared = await tarOf({ base: 'x' });
  const top = await tarOf({ top: 'y' });
  await load(images, dockerArchive(configOf([shared]), [shared], ['base:1']));
  const config = configOf([shared, top]);
  await load(images, dockerArchive(config, [shared, top], ['app:1', 'app:2']));
  const since = nowNanos();
  assert.deepEqual(await images.remove('app:1'), [{ Untagged: 'app:1' }]);
  const deleted = await images.remove('app:2');
  await images.layers.settled();
  assert.deepEqual(deleted.slice(0, 2), [{ Untagged: 'app:2' }, { Deleted: sha256(config) }]);
  assert.equal(deleted.length, 3);
  assert.deepEqual(
    snapshotter.listLayers().map((layer) => layer.diffId),
    [sha256(shared)],
  );
  assert.deepEqual(unmounted, [sha256(top)]);
  const told = await Array.fromAsync(events.subscribe({ since, until: nowNanos() }));
  assert.deepEqual(
    told.map((event) => event.Action),
    ['untag', 'untag', 'delete'],
  );
});

test('remove refuses in the words of Docker, and gives way to force where Docker does', async (t) => {
  const { images, users, snapshotter, layersInUse } = await testImages(t);
  const id = await loadSimple(images, 'x', ['a:1', 'b:1']);
  const short = id.slice(7, 19);
  await assert.rejects(images.remove('nothing'), {
    kind: 'notFound',
    message: 'No such image: nothing:latest',
  });
  await assert.rejects(images.remove(short), {
    kind: 'conflict',
    message: `conflict: unable to delete ${short} (must be forced) - image is referenced in multiple repositories`,
  });
  await images.remove('b:1');

  users.set(id, [{ id: CONTAINER, running: true }]);
  await assert.rejects(images.remove('a:1'), {
    message: `conflict: unable to remove repository reference "a:1" (must force) - container ${CONTAINER.slice(0, 12)} is using its referenced image ${short}`,
  });
  await assert.rejects(images.remove(short, { force: true }), {
    message: `conflict: unable to delete ${short} (cannot be forced) - image is being used by running container ${CONTAINER.slice(0, 12)}`,
  });

  users.set(id, [{ id: CONTAINER, running: false }]);
  await assert.rejects(images.remove(id), {
    message: `conflict: unable to delete ${short} (must be forced) - image is being used by stopped container ${CONTAINER.slice(0, 12)}`,
  });
  for (const layer of images.resolve(id).layers) layersInUse.add(layer);
  assert.deepEqual(await images.remove(id, { force: true }), [{ Untagged: 'a:1' }, { Deleted: id }]);
  // The container's files stay until it goes.
  assert.equal(snapshotter.listLayers().length, 1);
  layersInUse.clear();
  await images.collectGarbage();
  assert.equal(snapshotter.listLayers().length, 0);
});

test('remove --force by name leaves an image that a container runs on', async (t) => {
  const { images, users } = await testImages(t);
  const id = await loadSimple(images, 'x', ['a:1']);
  users.set(id, [{ id: CONTAINER, running: true }]);
  assert.deepEqual(await images.remove('a:1', { force: true }), [{ Untagged: 'a:1' }]);
  assert.equal(images.resolve(id).id, id);
});

test('remove refuses an image that others were made on, and takes untagged parents along', async (t) => {
  const { images } = await testImages(t);
  const id = await loadSimple(images, 'x', ['base:1']);
  const { Readable } = await import('node:stream');
  const { parseReference } = await import('#/oci/reference.ts');
  const child = await images.create({
    layer: Readable.from([await tarOf({ y: 'y' })]),
    base: images.resolve(id),
    config: {},
    platform: { os: 'linux', architecture: 'amd64' },
    reference: parseReference('child:1'),
  });
  const short = id.slice(7, 19);
  await assert.rejects(images.remove(id, { force: true }), {
    message: `conflict: unable to delete ${short} (cannot be forced) - image has dependent child images`,
  });
  assert.deepEqual(await images.remove('base:1'), [{ Untagged: 'base:1' }]);
  assert.equal((await images.list()).length, 1);
  assert.equal((await images.list({ all: true })).length, 2);
  const deleted = (await images.remove('child:1')).map((item) => item.Deleted);
  assert.ok(deleted.includes(child) && deleted.includes(id));
});

test('prune removes untagged images, or with dangling=false all that nothing uses', async (t) => {
  const { images, users, snapshotter } = await testImages(t);
  await loadSimple(images, 'untagged', []);
  const used = await loadSimple(images, 'used', ['used:1']);
  await loadSimple(images, 'kept', ['kept:1'], { config: { Labels: { keep: '1' } } });
  await loadSimple(images, 'free', ['free:1', 'free:2']);
  users.set(used, [{ id: CONTAINER, running: false }]);
  const first = await images.prune();
  assert.equal(first.ImagesDeleted?.filter((item) => item.Deleted !== undefined).length, 2);
  assert.equal(first.SpaceReclaimed, 'untagged'.length);
  const second = await images.prune({ dangling: ['false'], 'label!': ['keep'] });
  assert.deepEqual(
    second.ImagesDeleted?.flatMap((item) => item.Untagged ?? []),
    ['free:1', 'free:2'],
  );
  assert.equal(snapshotter.listLayers().length, 2);
  await assert.rejects(images.prune({ size: ['1'] }), { message: "invalid filter 'size'" });
});
