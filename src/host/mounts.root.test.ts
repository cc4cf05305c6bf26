import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { withLoopDevice } from './loop-device.ts';
import { checked, libc } from './libc.ts';
import {
  bindMount,
  listMounts,
  mountErofs,
  mountOverlay,
  mountTmpfs,
  unmount,
  unmountAside,
} from './mounts.ts';

// On a tmpfs of its own: an overlay's upper directory may not lie on an overlay, which a test host's /tmp can be.
const root = mkdtempSync(path.join(tmpdir(), 'hull-mounts-'));
mountTmpfs(root, { size: 64 << 20, mode: 0o755, flags: ['nosuid', 'nodev'] });

after(() => {
  for (const { target } of listMounts().reverse()) {
    if (target === root || target.startsWith(`${root}/`)) unmount(target, { lazy: true });
  }
  rmSync(root, { recursive: true });
});

function directory(name: string): string {
  const made = path.join(root, name);
  mkdirSync(made, { recursive: true });
  return made;
}

const mountsBelow = (target: string) => listMounts().filter((mount) => mount.target === target);

test('mountTmpfs() takes size, mode and flags', () => {
  const [mount] = mountsBelow(root);
  assert.equal(mount?.type, 'tmpfs');
  assert.match(mount.options, /nosuid,nodev.*size=65536k/);
  assert.equal(statSync(root).mode & 0o7777, 0o755);
});

test('mountOverlay() stacks 127 layers of long names, the topmost first', () => {
  const lower: string[] = [];
  for (let layer = 0; layer < 127; layer++) {
    const name = directory(`layers/${String(layer).padStart(200, '0')}/${'x'.repeat(100)}`);
    writeFileSync(path.join(name, `file${layer}`), '');
    writeFileSync(path.join(name, 'top'), String(layer));
    lower.unshift(name);
  }
  const target = directory('many');
  const [upper, work] = [directory('many-upper'), directory('many-work')];
  mountOverlay({ lower, upper, work, target, volatile: true });
  assert.equal(readdirSync(target).length, 128);
  assert.equal(readFileSync(path.join(target, 'top'), 'utf8'), '126');
  writeFileSync(path.join(target, 'written'), 'x');
  assert.deepEqual(readdirSync(upper), ['written']);
  unmount(target);
  assert.deepEqual(mountsBelow(target), []);
});

test('mountOverlay() without an upper directory is read-only, with one layer too', () => {
  const target = directory('view');
  const layers = [directory('one'), directory('two')];
  for (const lower of [layers, layers.slice(0, 1)]) {
    mountOverlay({ lower, target });
    assert.throws(() => writeFileSync(path.join(target, 'x'), ''), { code: 'EROFS' });
    unmount(target);
  }
});

test('mountOverlay() says which directory is missing', () => {
  const lower = [directory('one'), path.join(root, 'missing')];
  assert.throws(() => mountOverlay({ lower, target: directory('view') }), /missing/);
});

test('bindMount() makes mounts below read-only when asked for both', () => {
  const [source, target] = [directory('source'), directory('target')];
  mountTmpfs(directory('source/below'));
  bindMount(source, target, { recursive: true, readonly: true, propagation: 'rslave' });
  for (const where of ['x', 'below/x']) {
    assert.throws(() => writeFileSync(path.join(target, where), ''), { code: 'EROFS' });
    writeFileSync(path.join(source, where), '');
  }
  unmount(target, { lazy: true });
  bindMount(source, target);
  writeFileSync(path.join(target, 'x'), 'through');
  assert.equal(readFileSync(path.join(source, 'x'), 'utf8'), 'through');
  unmount(target);
});

test('unmount() of what is not mounted, or not there, does nothing', () => {
  unmount(directory('plain'));
  unmount(path.join(root, 'absent'));
});

test('unmountAside() frees the place at once, and tells when the filesystem is free', async () => {
  const target = directory('aside');
  const [upper, work, lower] = [directory('aside-upper'), directory('aside-work'), directory('one')];
  mountOverlay({ lower: [lower], upper, work, target });
  let free = false;
  const told = new Promise<void>((resolve) => {
    unmountAside(target, () => {
      free = true;
      resolve();
    });
  });
  assert.deepEqual([mountsBelow(target), readdirSync(target), free], [[], [], false]);
  await told;
  for (const nothing of [target, path.join(root, 'absent')]) {
    await new Promise<void>((resolve) => unmountAside(nothing, resolve));
  }
});

test('mountErofs() mounts from the file, and the loop device it falls back to frees itself', () => {
  const content = directory('content');
  writeFileSync(path.join(content, 'hello'), 'world');
  const image = path.join(root, 'layer.erofs');
  execFileSync('mkfs.erofs', [image, content], { stdio: 'ignore', timeout: 10_000 });
  const target = directory('erofs');
  mountErofs(image, target);
  assert.equal(readFileSync(path.join(target, 'hello'), 'utf8'), 'world');
  unmount(target);
  let loop = '';
  withLoopDevice(image, (device) => {
    loop = device;
    checked(libc.mount(device, target, 'erofs', 1, null), 'mount', device);
  });
  assert.equal(readFileSync(path.join(target, 'hello'), 'utf8'), 'world');
  unmount(target);
  assert.throws(() => readFileSync(`/sys/block/${path.basename(loop)}/loop/backing_file`), {
    code: 'ENOENT',
  });
});
