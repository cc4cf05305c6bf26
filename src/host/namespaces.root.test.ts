import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { networkInterfaces, tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { listMounts } from './mounts.ts';
import { createNetns, removeNetns, withNetns } from './namespaces.ts';

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
