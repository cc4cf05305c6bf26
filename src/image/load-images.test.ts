import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import * as fc from 'fast-check';
import type { NewTarMember } from '#/archive/tar-writer.ts';
import { isKind } from '#/base/errors.ts';
import { readToEnd } from '#/base/streams.ts';
import { ANNOTATION_REF_NAME, MEDIA_TYPES } from '#/oci/descriptor.ts';
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

function member(name: string, value: Buffer | object): NewTarMember {
  return { entry: { name }, data: Buffer.isBuffer(value) ? value : Buffer.from(JSON.stringify(value)) };
}

/** The members of an OCI image layout. */
function ociArchive(
  config: Buffer,
  blobs: readonly Buffer[],
  mediaType: string,
  name?: string,
): NewTarMember[] {
  const descriptor = (bytes: Buffer, type: string) => ({
    mediaType: type,
    digest: sha256(bytes),
    size: bytes.length,
  });
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      config: descriptor(config, MEDIA_TYPES.ociConfig),
      layers: blobs.map((blob) => descriptor(blob, mediaType)),
    }),
  );
  const annotations = name === undefined ? {} : { annotations: { [ANNOTATION_REF_NAME]: name } };
  const index = {
    schemaVersion: 2,
    manifests: [{ ...descriptor(manifest, MEDIA_TYPES.ociManifest), ...annotations }],
  };
  return [
    ...[...blobs, config, manifest].map((blob) => member(`blobs/sha256/${sha256(blob).slice(7)}`, blob)),
    member('index.json', index),
    member('oci-layout', { imageLayoutVersion: '1.0.0' }),
  ];
}

test('load takes the members of a docker archive in any order', async (t) => {
  const { images, snapshotter } = await testImages(t);
  const layers = [await tarOf({ a: 'one' }), await tarOf({ b: 'two' })];
  const config = configOf(layers);
  const members = dockerArchive(config, layers, ['app:1']);
  const positions = [...members.keys()];
  await fc.assert(
    fc.asyncProperty(fc.shuffledSubarray(positions, { minLength: positions.length }), async (order) => {
      const told = await load(
        images,
        order.flatMap((position) => members[position] ?? []),
      );
      assert.equal(told.at(-1)?.stream, 'Loaded image: app:1\n');
      assert.equal(images.resolve('app:1').id, sha256(config));
      assert.equal(snapshotter.listLayers().length, 2);
      await images.remove('app:1');
      await images.layers.settled();
      assert.equal(snapshotter.listLayers().length, 0);
    }),
    { numRuns: 4 },
  );
});

test('load reads compressed archives, and links to layers that come twice', async (t) => {
  const { images } = await testImages(t);
  const layer = await tarOf({ a: 'one' });
  const config = configOf([layer, layer]);
  const members: NewTarMember[] = [
    { entry: { name: 'x/layer.tar', type: 'symlink', linkName: '../y/layer.tar' } },
    member('./y/layer.tar', layer),
    member('c.json', config),
    member('manifest.json', [{ Config: 'c.json', RepoTags: null, Layers: ['x/layer.tar', 'y/layer.tar'] }]),
  ];
  const { writeTar } = await import('#/archive/tar-writer.ts');
  const tar = await readToEnd(writeTar(members));
  for (const bytes of [tar, gzipSync(tar), zstdCompressSync(tar)]) {
    const told = await Array.fromAsync(images.load(streamOf(bytes), { quiet: true }));
    assert.deepEqual(told, [{ stream: `Loaded image ID: ${sha256(config)}\n` }]);
    await images.remove(sha256(config));
  }
});

test('load reads OCI image layouts with layers of every compression', async (t) => {
  const { images } = await testImages(t);
  const layer = await tarOf({ a: 'one' });
  const config = configOf([layer]);
  const cases: [Buffer, string][] = [
    [layer, MEDIA_TYPES.ociLayer],
    [gzipSync(layer), MEDIA_TYPES.ociLayerGzip],
    [zstdCompressSync(layer), MEDIA_TYPES.ociLayerZstd],
  ];
  for (const [blob, mediaType] of cases) {
    await load(images, ociArchive(config, [blob], mediaType, 'localhost:5000/app:1'));
    assert.deepEqual(images.resolve('localhost:5000/app:1').layers, [sha256(layer)]);
    await images.remove('localhost:5000/app:1');
  }
  const told = await load(images, ociArchive(config, [layer], MEDIA_TYPES.ociLayer, 'latest'));
  assert.equal(told.at(-1)?.stream, `Loaded image ID: ${sha256(config)}\n`);
});

test('load moves a tag and says so', async (t) => {
  const { images } = await testImages(t);
  const old = await loadSimple(images, 'old', ['app:1']);
  const layer = await tarOf({ a: 'new' });
  const told = await load(images, dockerArchive(configOf([layer]), [layer], ['app:1']));
  assert.equal(
    told.at(-2)?.stream,
    `The image app:1 already exists, renaming the old one with ID ${old} to empty string\n`,
  );
  assert.deepEqual((await images.inspect(old)).RepoTags, []);
});

test('load refuses archives that lie, and leaves nothing of them', async (t) => {
  const { images, snapshotter } = await testImages(t);
  const layer = await tarOf({ a: 'one' });
  const other = await tarOf({ a: 'other' });
  const config = configOf([layer]);
  const good = dockerArchive(config, [layer], ['app:1']);
  const manifest = (value: unknown): NewTarMember[] => [
    ...good.slice(0, -1),
    member('manifest.json', value as object),
  ];
  const oci = ociArchive(config, [layer], MEDIA_TYPES.ociLayer);
  const renamed = (from: Buffer, to: Buffer): NewTarMember[] =>
    oci.map((item) => (item.entry.name.endsWith(sha256(from).slice(7)) ? member(item.entry.name, to) : item));
  const cases: [NewTarMember[], RegExp][] = [
    [good.slice(0, -1), /does not contain a manifest.json/],
    [good.slice(1), /lacks "layer0\/layer.tar"/],
    [dockerArchive(config, [other], ['app:1']), /invalid diffID for layer 0: expected "sha256:/],
    [dockerArchive(config, [], ['app:1']), /layers length mismatch: expected 1, got 0/],
    [dockerArchive(config, [layer], ['App:1']), /must be lowercase/],
    [
      dockerArchive(configOf([layer], { os: 'windows' }), [layer], null),
      /cannot load windows image on linux/,
    ],
    [dockerArchive(Buffer.from('{}'), [layer], null), /no RootFS key/],
    [manifest({}), /no list of images/],
    [manifest([{ Config: 7 }]), /no list of images/],
    [manifest([{ Config: '../../etc/passwd', Layers: [] }]), /lacks "..\/..\/etc\/passwd"/],
    [renamed(layer, other), /digest/],
    [renamed(layer, gzipSync(other)), /has the digest/],
    [renamed(config, configOf([other])), /has the digest/],
    [
      [{ entry: { name: 'manifest.json', type: 'symlink', linkName: 'manifest.json' } }],
      /is a link to itself/,
    ],
  ];
  for (const [members, message] of cases) {
    await assert.rejects(load(images, members), (error) => {
      assert.ok(isKind(error, 'invalid'), String(error));
      assert.match((error as Error).message, message);
      return true;
    });
    assert.deepEqual(await images.list({ all: true }), []);
    assert.deepEqual(snapshotter.listLayers(), []);
  }
});

test('load refuses a truncated archive and leaves nothing of it', async (t) => {
  const { images, snapshotter } = await testImages(t);
  const layer = await tarOf({ a: 'x'.repeat(20_000) });
  const { writeTar } = await import('#/archive/tar-writer.ts');
  const tar = await readToEnd(writeTar(dockerArchive(configOf([layer]), [layer], ['app:1'])));
  for (const bytes of [tar.subarray(0, 9000), gzipSync(tar).subarray(0, 200), Buffer.from('no archive')]) {
    await assert.rejects(Array.fromAsync(images.load(streamOf(bytes))), (error) => isKind(error, 'invalid'));
    assert.deepEqual(snapshotter.listLayers(), []);
  }
});
