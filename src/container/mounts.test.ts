import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseBind, parseMount, wantedMounts } from './mounts.ts';

test('parseBind() tells host directories, named and anonymous volumes apart', () => {
  assert.partialDeepStrictEqual(parseBind('/src/:/dst:ro,rslave'), {
    type: 'bind',
    source: '/src',
    destination: '/dst',
    readWrite: false,
    propagation: 'rslave',
    createSource: true,
  });
  assert.partialDeepStrictEqual(parseBind('data:/var/lib'), {
    type: 'volume',
    name: 'data',
    mode: 'z',
    anonymous: false,
  });
  assert.partialDeepStrictEqual(parseBind('/var/lib'), {
    type: 'volume',
    anonymous: true,
    destination: '/var/lib',
  });
  assert.partialDeepStrictEqual(parseBind('data:/d:nocopy'), { noCopy: true });
});

test('parseBind() refuses what is no volume specification', () => {
  for (const bad of ['', ':', 'a:b:c:d', 'a:relative', '/a:', ':/b', '/a:/']) {
    assert.throws(() => parseBind(bad), /^EngineError: invalid volume specification/, bad);
  }
  for (const bad of ['/a:/b:what', '/a:/b:ro,rw', 'v:/b:rshared', '/a:/b:shared,slave']) {
    assert.throws(() => parseBind(bad), /invalid mode/, bad);
  }
  assert.throws(() => parseBind('a/b:/c'), /includes invalid characters for a local volume name/);
});

test('parseMount() reads the structured form and checks it', () => {
  assert.partialDeepStrictEqual(
    parseMount({ Type: 'tmpfs', Target: '/t', TmpfsOptions: { SizeBytes: 4096, Mode: 0o700 } }),
    { type: 'tmpfs', destination: '/t', tmpfs: { size: 4096, mode: 0o700 } },
  );
  assert.throws(() => parseMount({ Type: 'bind', Target: '/t' }), /field Source must not be empty/);
  assert.throws(() => parseMount({ Type: 'volume', Target: 't' }), /mount path must be absolute/);
  assert.throws(() => parseMount({ Target: '/t' }), /mount type unknown/);
});

test('wantedMounts() lets requests win over the image’s volumes and refuses two at one place', () => {
  const mounts = wantedMounts(
    { Volumes: { '/data': {}, '/more': {} } },
    { Binds: ['/host:/data'], Tmpfs: { '/run': 'size=1m,exec' } },
  );
  assert.deepEqual(
    mounts.map(({ type, destination }) => `${type} ${destination}`),
    ['bind /data', 'tmpfs /run', 'volume /more'],
  );
  assert.throws(() => wantedMounts({}, { Binds: ['/a:/x', '/b:/x'] }), {
    message: 'Duplicate mount point: /x',
  });
  assert.throws(() => wantedMounts({}, { Tmpfs: { '/run': 'frobnicate' } }), /Invalid tmpfs option/);
});
