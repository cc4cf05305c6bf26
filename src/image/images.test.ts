import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { nowNanos } from '#/base/time.ts';
import type { Digest } from '#/oci/digest.ts';
import { loadSimple, sha256, streamOf, tarOf, testImages } from './test-images.ts';

test('resolve finds by name, id and the beginning of an id, names first', async (t) => {
  const { images } = await testImages(t);
  const id = await loadSimple(images, 'x', ['app:1', 'registry.example.com/a/b:latest']);
  const hex = id.slice(7);
  for (const text of [
    'app:1',
    'docker.io/library/app:1',
    'registry.example.com/a/b',
    id,
    hex,
    hex.slice(0, 12),
    hex.slice(0, 3),
    `sha256:${hex.slice(0, 8)}`,
  ]) {
    assert.equal(images.resolve(text).id, id, text);
  }
  const other = await loadSimple(images, 'y', []);
  await images.tag(other, hex.slice(0, 12));
  assert.equal(images.resolve(hex.slice(0, 12)).id, other);
});

test('resolve says what is missing in the words of Docker', async (t) => {
  const { images } = await testImages(t);
  const cases: [string, string][] = [
    ['foo', 'No such image: foo:latest'],
    ['foo:1', 'No such image: foo:1'],
    ['localhost:5000/foo', 'No such image: localhost:5000/foo:latest'],
    ['e'.repeat(64), `No such image: sha256:${'e'.repeat(64)}`],
    [`sha256:${'e'.repeat(64)}`, `No such image: sha256:${'e'.repeat(64)}`],
    ['Foo', 'invalid reference format: repository name (library/Foo) must be lowercase'],
  ];
  for (const [text, message] of cases) assert.throws(() => images.resolve(text), { message });
});

test('tag points a name at an image, and refuses what is no tag', async (t) => {
  const { images, events } = await testImages(t);
  const id = await loadSimple(images, 'x', ['app:1']);
  const since = nowNanos();
  await images.tag('app:1', 'copy');
  assert.deepEqual((await images.inspect(id)).RepoTags, ['app:1', 'copy:latest']);
  const [event] = await Array.fromAsync(events.subscribe({ since, until: nowNanos() }));
  assert.equal(event?.Actor.Attributes['name'], 'copy:latest');
  const cases: [string, string][] = [
    ['copy:', 'invalid reference format'],
    [`copy@sha256:${'0'.repeat(64)}`, 'refusing to create a tag with a digest reference'],
    ['sha256:1', 'refusing to create an ambiguous tag using digest algorithm as name'],
  ];
  for (const [name, message] of cases) await assert.rejects(images.tag('app:1', name), { message });
});

test('import makes an image of a tar, compressed or not, with changes', async (t) => {
  const { images } = await testImages(t);
  const tar = await tarOf({ 'bin/sh': 'x' });
  const told = await Array.fromAsync(
    images.import(streamOf(gzipSync(tar)), {
      reference: 'rootfs:1',
      message: 'from a tar',
      changes: ['CMD ["sh"]', 'ENV A=1'],
      platform: 'linux/arm64',
    }),
  );
  const inspected = await images.inspect('rootfs:1');
  assert.deepEqual(told, [{ status: inspected.Id }]);
  assert.deepEqual(inspected.Config, { Cmd: ['sh'], Env: ['A=1'] });
  assert.equal(inspected.Architecture, 'arm64');
  assert.deepEqual(inspected.RootFS?.Layers, [sha256(tar)]);
  assert.equal((await images.history('rootfs:1'))[0]?.Comment, 'from a tar');
  await assert.rejects(Array.fromAsync(images.import(streamOf(Buffer.from('no tar at all, '.repeat(100))))), {
    kind: 'invalid',
  });
  await assert.rejects(Array.fromAsync(images.import(streamOf(tar), { changes: ['RUN x'] })), {
    kind: 'invalid',
  });
});

test('list filters as docker images does', async (t) => {
  const { images } = await testImages(t);
  await loadSimple(images, 'old', ['repo/app:1', 'repo/app:2'], {
    created: '2023-01-01T00:00:00Z',
    config: { Labels: { a: '1' } },
  });
  await loadSimple(images, 'mid', ['busybox:latest'], { created: '2023-06-01T00:00:00Z' });
  await loadSimple(images, 'new', [], { created: '2024-01-01T00:00:00Z' });
  const names = async (filters: Record<string, string[]>): Promise<string[]> =>
    (await images.list({ filters })).map((image) => image.RepoTags.join(' '));
  assert.deepEqual(await names({}), ['', 'busybox:latest', 'repo/app:1 repo/app:2']);
  assert.deepEqual(await names({ dangling: ['true'] }), ['']);
  assert.deepEqual(await names({ dangling: ['false'] }), ['busybox:latest', 'repo/app:1 repo/app:2']);
  assert.deepEqual(await names({ label: ['a=1'] }), ['repo/app:1 repo/app:2']);
  assert.deepEqual(await names({ reference: ['busy*'] }), ['busybox:latest']);
  assert.deepEqual(await names({ reference: ['*:1'] }), []);
  assert.deepEqual(await names({ reference: ['*/*:1'] }), ['repo/app:1']);
  assert.deepEqual(await names({ reference: ['repo/app'] }), ['repo/app:1 repo/app:2']);
  assert.deepEqual(await names({ before: ['busybox'] }), ['repo/app:1 repo/app:2']);
  assert.deepEqual(await names({ since: ['busybox'] }), ['']);
  assert.deepEqual(await names({ until: ['1700000000'] }), ['busybox:latest', 'repo/app:1 repo/app:2']);
  await assert.rejects(names({ dangling: ['maybe'] }), { message: "invalid filter 'dangling=[maybe]'" });
  await assert.rejects(names({ size: ['1'] }), { message: "invalid filter 'size'" });
  await assert.rejects(names({ reference: ['[a'] }), { message: 'syntax error in pattern' });
});

test('list counts what images share', async (t) => {
  const { images } = await testImages(t);
  await loadSimple(images, 'same', ['a:1'], { author: 'a' });
  await loadSimple(images, 'same', ['b:1'], { author: 'b' });
  const summaries = await images.list({ sharedSize: true, containers: true });
  assert.deepEqual(
    summaries.map((image) => [image.Size, image.SharedSize, image.Containers]),
    [
      [4, 4, 0],
      [4, 4, 0],
    ],
  );
});

test('history gives steps newest first, sizes only to those with a layer', async (t) => {
  const { images } = await testImages(t);
  const id = await loadSimple(images, 'x'.repeat(100), ['app:1'], {
    history: [
      { created: '2024-01-01T00:00:00Z', created_by: 'COPY x' },
      { created: '2024-01-02T00:00:00Z', created_by: 'CMD ["sh"]', empty_layer: true },
    ],
  });
  const items = await images.history('app:1');
  assert.deepEqual(
    items.map((item) => [item.Id, item.CreatedBy, item.Size, item.Tags]),
    [
      [id, 'CMD ["sh"]', 0, ['app:1']],
      ['<missing>', 'COPY x', 100, null],
    ],
  );
});

test('images survive a reopen; layers without an owner do not, unless a lease names them', async (t) => {
  const before = await testImages(t);
  await loadSimple(before.images, 'kept', ['kept:1']);
  const written: Digest[] = [];
  for (const text of ['garbage', 'leased']) {
    const { diffId } = await before.snapshotter.writeLayer(streamOf(await tarOf({ text })));
    written.push(diffId);
  }
  before.leases.take({ resumable: true }).add('layer', written[1] ?? '');
  const after = await before.reopen();
  await after.images.collectGarbage();
  assert.equal(after.images.resolve('kept:1').config.os, 'linux');
  const left = after.snapshotter.listLayers().map((layer) => layer.diffId);
  assert.equal(left.length, 2);
  assert.ok(left.includes(written[1] ?? 'sha256:'));
});

test('a hold keeps layers until it ends', async (t) => {
  const { images, snapshotter } = await testImages(t);
  await loadSimple(images, 'x', ['app:1']);
  {
    await using _ = await images.hold();
    await images.remove('app:1');
    assert.equal(snapshotter.listLayers().length, 1);
  }
  assert.equal(snapshotter.listLayers().length, 0);
});
