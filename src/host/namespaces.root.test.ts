import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { networkInterfaces, tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { listMounts } from './mounts.ts';
import { createNetns, removeNetns, SpareNetns, withNetns } from './namespaces.ts';

const root = mkdtempSync(path.join(tmpdir(), 'hull-netns-'));
after(() => rmSync(root, { recursive: true }));

test('createNetns() leaves this thread where it was and a namespace with lo up at the path', () => {
  const file = path.join(root, 'a');
  const before = readlinkSync('/proc/thread-self/ns/net');
  createNetns(file);
  assert.equal(readlinkSync('/proc/thread-self/ns/net'), before);
  const inside = withNetns(file, () => ({
    id: readlinkSync('/proc/thread-self/ns/net'),
    links: networkInterfaces(),
    devices: readFileSync('/proc/thread-self/net/dev', 'utf8'),
  }));
  assert.notEqual(inside.id, before);
  assert.deepEqual(
    inside.links.lo?.map(({ address }) => address),
    ['127.0.0.1', '::1'],
  );
  assert.equal(inside.devices.includes('eth0'), false);
  removeNetns(file);
  assert.equal(existsSync(file), false);
  assert.equal(
    listMounts().some(({ target }) => target === file),
    false,
  );
});

/** The network namespaces that this process has descriptors on. */
/** The namespace kept at a path, as links name it. */
function readNetns(file: string): string {
  return withNetns(file, () => readlinkSync('/proc/thread-self/ns/net'));
}

function held(): string[] {
  const open = readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`);
    } catch {
      return [];
    }
  });
  return open.filter((target) => target.startsWith('net:'));
}

test('SpareNetns gives each namespace once, with lo up, and holds one at most', () => {
  const before = readlinkSync('/proc/thread-self/ns/net');
  const spare = new SpareNetns<string>();
  const make = (): void => spare.make('plain', (netns) => readlinkSync(netns));
  make();
  make();
  assert.equal(readlinkSync('/proc/thread-self/ns/net'), before);
  const [ready, ...more] = held();
  assert.deepEqual(more, []);
  const files = ['spare', 'none spare', 'spare again'].map((name) => path.join(root, name));
  const inside = files.map((file, index) => {
    assert.equal(spare.keep('plain', file), index === 1 ? undefined : readNetns(file));
    assert.deepEqual(held(), []);
    if (index === 1) make();
    return withNetns(file, () => {
      assert.deepEqual(Object.keys(networkInterfaces()), ['lo']);
      return readlinkSync('/proc/thread-self/ns/net');
    });
  });
  assert.equal(inside[0], ready);
  assert.equal(new Set([before, ...inside]).size, 4);
  make();
  assert.equal(held().length, 1);
  spare[Symbol.dispose]();
  assert.deepEqual(held(), []);
  for (const file of files) removeNetns(file);
});

test('SpareNetns gives none of another kind, nor one that could not be furnished', () => {
  const spare = new SpareNetns<string>();
  const file = path.join(root, 'kinds');
  spare.make('one', () => 'one');
  const [first] = held();
  assert.equal(spare.keep('other', file), undefined);
  assert.deepEqual(held(), [first]);
  spare.make('other', () => 'other');
  assert.equal(held().length, 1);
  assert.notEqual(held()[0], first);
  assert.equal(spare.keep('other', file), 'other');
  spare.make('broken', () => {
    throw new Error('cannot be furnished');
  });
  assert.deepEqual(held(), []);
  assert.equal(spare.keep('broken', file), undefined);
  spare[Symbol.dispose]();
  removeNetns(file);
});

test('withNetns() comes back when the function throws, and says so when the path is no namespace', () => {
  const file = path.join(root, 'b');
  const before = readlinkSync('/proc/thread-self/ns/net');
  createNetns(file);
  assert.throws(() => {
    withNetns(file, () => {
      throw new Error('inside');
    });
  }, /inside/);
  assert.equal(readlinkSync('/proc/thread-self/ns/net'), before);
  removeNetns(file);
  assert.throws(() => withNetns('/etc/passwd', () => 0), { code: 'EINVAL', syscall: 'setns' });
});
