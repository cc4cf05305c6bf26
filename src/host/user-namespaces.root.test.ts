import assert from 'node:assert/strict';
import {
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { networkInterfaces, tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { bindMount, listMounts, mountIdmapped, mountOverlay, unmount } from './mounts.ts';
import { withNetns } from './namespaces.ts';
import { run } from './process.ts';
import { makeNetnsIn, makeUserNamespace, removeNamespace } from './user-namespaces.ts';

const root = mkdtempSync(path.join(tmpdir(), 'hull-userns-'));
const program = path.join(root, 'hull-namespaces');
const maps = { uids: '0 1600000 1000\n1000 1700000 500\n', gids: '0 1800000 65536\n' };

before(async () => {
  const build = path.join(import.meta.dirname, 'namespace-maker/build.sh');
  const { code, stderr } = await run(build, [program], { timeoutMs: 60_000 });
  assert.equal(code, 0, stderr.toString());
});
after(() => {
  for (const { target } of listMounts()) if (target.startsWith(`${root}/`)) unmount(target, { lazy: true });
  rmSync(root, { recursive: true });
});

async function inside(file: string, command: string): Promise<string> {
  const { stdout, stderr } = await run('nsenter', [`--user=${file}`, 'sh', '-c', command], {
    timeoutMs: 10_000,
  });
  return stderr.toString() + stdout.toString();
}

test('makeUserNamespace() keeps a namespace with these maps, and a network namespace that it owns', async () => {
  const files = { user: path.join(root, 'user'), network: path.join(root, 'network') };
  await makeUserNamespace(program, maps, files);
  const map = await inside(files.user, 'cat /proc/self/uid_map /proc/self/gid_map');
  assert.deepEqual(
    map
      .trim()
      .split('\n')
      .map((line) => line.trim().split(/\s+/).join(' ')),
    ['0 1600000 1000', '1000 1700000 500', '0 1800000 65536'],
  );
  const { id, links } = withNetns(files.network, () => ({
    id: readlinkSync('/proc/thread-self/ns/net'),
    links: networkInterfaces(),
  }));
  assert.deepEqual(
    links.lo?.map(({ address }) => address),
    ['127.0.0.1', '::1'],
  );
  const { stdout } = await run(
    'nsenter',
    [`--user=${files.user}`, `--net=${files.network}`, 'ip', 'link', 'set', 'lo', 'mtu', '1400'],
    { timeoutMs: 10_000 },
  );
  assert.equal(stdout.toString(), '', 'its root administers it');
  const second = path.join(root, 'second');
  await makeNetnsIn(program, files.user, second);
  assert.notEqual(
    withNetns(second, () => readlinkSync('/proc/thread-self/ns/net')),
    id,
  );
  for (const file of [files.user, files.network, second]) {
    removeNamespace(file);
    assert.equal(existsSync(file), false);
  }
  assert.deepEqual(
    listMounts().filter(({ target }) => target.startsWith(`${root}/`)),
    [],
  );
});

test('makeUserNamespace() says what the kernel does not take, and leaves nothing', async () => {
  const files = { user: path.join(root, 'bad'), network: path.join(root, 'bad-network') };
  await assert.rejects(makeUserNamespace(program, { uids: '0 0 0\n', gids: '0 0 1\n' }, files), {
    message: /^Cannot make a user namespace: .*uid_map.*: Invalid argument/s,
  });
  assert.equal(existsSync(files.user) || existsSync(files.network), false);
});

test('mountIdmapped() shows owners mapped, for an overlay to lie upon', async () => {
  const user = path.join(root, 'mapping');
  await makeUserNamespace(program, maps, { user });
  const [layer, mapped, upper, work, merged] = ['layer', 'mapped', 'upper', 'work', 'merged'].map((name) => {
    mkdirSync(path.join(root, name));
    return path.join(root, name);
  }) as [string, string, string, string, string];
  writeFileSync(path.join(layer, 'roots'), 'x');
  writeFileSync(path.join(layer, 'users'), 'x');
  chownSync(path.join(layer, 'users'), 1001, 1000);
  mountIdmapped(layer, mapped, user);
  mountOverlay({ lower: [mapped], upper, work, target: merged });
  const owner = (file: string): number[] => [statSync(file).uid, statSync(file).gid];
  assert.deepEqual(owner(path.join(merged, 'roots')), [1_600_000, 1_800_000]);
  assert.deepEqual(owner(path.join(merged, 'users')), [1_700_001, 1_801_000]);
  writeFileSync(path.join(merged, 'users'), 'copied up');
  assert.deepEqual(owner(path.join(upper, 'users')), [1_700_001, 1_801_000]);
  assert.deepEqual(owner(path.join(layer, 'users')), [1001, 1000]);
  bindMount(merged, merged);
  for (const target of [merged, merged, mapped]) unmount(target);
  removeNamespace(user);
});
