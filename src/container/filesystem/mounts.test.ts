import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseBind } from './bind-spec.ts';
import { followDataRoot, wantedMounts } from './mounts.ts';

test('wantedMounts() lets requests win over the image’s volumes and refuses two at one place', () => {
  const mounts = wantedMounts(
    { Volumes: { '/data': {}, '/more': {} } },
    { Binds: ['/host:/data'], Tmpfs: { '/run': 'size=1m,exec' } },
  );
  assert.deepEqual(
    mounts.map(({ type, destination }) => `${type} ${destination}`),
    ['tmpfs /run', 'bind /data', 'volume /more'],
  );
  const tmp = { Type: 'bind', Source: '/tmp' };
  for (const [host, place] of [
    [{ Binds: ['/a:/x', '/b:/x/'] }, '/x'],
    [{ Binds: ['/a:/x'], Tmpfs: { '/x': '' } }, '/x'],
    [{ Binds: ['/a:/x'], Mounts: [{ ...tmp, Target: '/x/' }] }, '/x/'],
    [{ Tmpfs: { '/x': '' }, Mounts: [{ ...tmp, Target: '/x' }] }, '/x'],
  ] as const) {
    assert.throws(() => wantedMounts({}, structuredClone(host) as object), {
      message: `Duplicate mount point: ${place}`,
      kind: 'invalid',
    });
  }
});

test('wantedMounts() refuses a tmpfs that has no place', () => {
  for (const [place, words] of [
    ['x', "invalid mount path: 'x' mount path must be absolute"],
    ['/', "invalid specification: destination can't be '/'"],
    ['/a/..', "invalid specification: destination can't be '/'"],
  ] as const) {
    assert.throws(() => wantedMounts({}, { Tmpfs: { [place]: '' } }), { message: words }, place);
  }
});

test('followDataRoot() lets a bind around the data root see what comes and goes there', () => {
  const propagation = (bind: string): string => followDataRoot(parseBind(bind), '/var/lib/hull').propagation;
  assert.equal(propagation('/:/host'), 'rslave');
  assert.equal(propagation('/var/lib/hull/volumes:/v'), 'rslave');
  assert.equal(propagation('/var/lib/hull:/v:rshared'), 'rshared');
  assert.equal(propagation('/srv:/v'), 'rprivate');
  assert.throws(() => propagation('/:/host:private'), {
    message:
      'invalid mount config: must use either propagation mode "rslave" or "rshared" when mount source is within the daemon root, daemon root: "/var/lib/hull", bind mount source: "/", propagation: "private"',
  });
});
