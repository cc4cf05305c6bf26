import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { type Descriptor, MEDIA_TYPES } from './descriptor.ts';
import { type Index, isIndex, parseManifest, pickManifest } from './manifest.ts';
import type { Platform } from './platform.ts';

function descriptor(fill: string, platform?: Platform): Descriptor {
  return {
    mediaType: MEDIA_TYPES.ociManifest,
    digest: `sha256:${fill.repeat(64)}`,
    size: 7,
    ...(platform === undefined ? {} : { platform }),
  };
}

const INDEX: Index = {
  schemaVersion: 2,
  manifests: [
    descriptor('0', { os: 'unknown', architecture: 'unknown' }),
    descriptor('1', { os: 'linux', architecture: '386' }),
    descriptor('2', { os: 'linux', architecture: 'arm', variant: 'v6' }),
    descriptor('3', { os: 'linux', architecture: 'arm', variant: 'v7' }),
    descriptor('4', { os: 'linux', architecture: 'amd64' }),
  ],
};

test('pickManifest() takes the best match of a platform', () => {
  const cases: [Platform, string][] = [
    [{ os: 'linux', architecture: 'amd64' }, '4'],
    [{ os: 'linux', architecture: 'arm64' }, '3'],
    [{ os: 'linux', architecture: 'arm', variant: 'v6' }, '2'],
    [{ os: 'linux', architecture: '386' }, '1'],
  ];
  for (const [platform, fill] of cases) {
    assert.equal(pickManifest(INDEX, platform).digest, `sha256:${fill.repeat(64)}`);
  }
  assert.throws(() => pickManifest(INDEX, { os: 'linux', architecture: 's390x' }), {
    message: 'no matching manifest for linux/s390x in the manifest list entries',
  });
});

test('parseManifest() tells manifests from indexes and refuses lying descriptors', () => {
  const bytes = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));
  assert.ok(isIndex(parseManifest(bytes(INDEX))));
  const manifest = { schemaVersion: 2, config: descriptor('a'), layers: [descriptor('b')] };
  assert.ok(!isIndex(parseManifest(bytes(manifest))));
  const bad = [
    { ...manifest, schemaVersion: 1 },
    { ...manifest, config: undefined },
    { ...manifest, layers: [{ ...descriptor('b'), digest: 'sha256:../..' }] },
    { ...manifest, layers: [{ ...descriptor('b'), size: -1 }] },
    { ...manifest, layers: [null] },
    { schemaVersion: 2 },
    null,
    [],
    'x',
  ];
  for (const value of bad) assert.throws(() => parseManifest(bytes(value)), /image manifest/);
  assert.throws(() => parseManifest(Buffer.from('{')), /not JSON/);
});

test('parseManifest() never fails other than as invalid', () => {
  fc.assert(
    fc.property(fc.json(), (json) => {
      assert.throws(() => parseManifest(Buffer.from(json)), { name: 'EngineError' });
    }),
  );
});
