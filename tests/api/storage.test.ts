import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

import { tar } from '../tar-writer.ts';
import { type Daemon, mountsUnder, until } from '../daemons.ts';
import { type Api, field } from './client.ts';
import { onEveryEngine } from './engines.ts';

const limited = (size: string): { HostConfig: object } => ({ HostConfig: { StorageOpt: { size } } });

/** Filesystems of containers, and the loop devices that hold their files. */
function disks(daemon: Daemon): string[] {
  const mounts = mountsUnder(daemon.execRoot).filter((target) => target.includes('/disks/'));
  const loops = readdirSync('/sys/block').filter((name) => backing(name).startsWith(daemon.dataRoot));
  return [...mounts, ...loops];
}

function backing(name: string): string {
  try {
    return readFileSync(`/sys/block/${name}/loop/backing_file`, 'utf8');
  } catch {
    return '';
  }
}

/** Overlays are given up lazily: a moment later the last of them is gone. */
const noDisks = (daemon: Daemon): Promise<void> => until('no disks', () => disks(daemon).length === 0);

async function sizeOf(api: Api, id: string): Promise<number> {
  return Number(field(await api.get(`/containers/${id}/json?size=1`).is(200), 'SizeRw'));
}

onEveryEngine('storage limits', ({ check }) => {
  check('options that are none are refused', async (api) => {
    for (const [StorageOpt, message] of [
      [{ foo: '1' }, /unknown option foo/i],
      [{ size: 'x' }, /invalid size: 'x'|--storage-opt is supported only/],
    ] as const) {
      await api
        .post('/containers/create', { Image: 'busybox', HostConfig: { StorageOpt } })
        .is(500, { message });
    }
    await api.get('/containers/json?all=1').is(200, []);
  });

  check('a container writes no more than it may', async (api, daemon) => {
    const line = 'dd if=/dev/zero of=/big bs=1M count=40 2>&1; df -m / | tail -1; exec sleep 600';
    const id = await api.run(line, limited('20m'));
    await api.get(`/containers/${id}/json`).is(200, { HostConfig: { StorageOpt: { size: '20m' } } });
    const logs = await api.raw('GET', `/containers/${id}/logs?stdout=1&follow=1`);
    await logs.until('df', () => /overlay +\d+/.test(logs.text));
    assert.match(logs.text, /No space left on device/);
    const room = Number(/overlay +(\d+)/.exec(logs.text)?.[1]);
    assert.ok(room >= 19 && room <= 22, logs.text);
    logs.close();
    const size = await sizeOf(api, id);
    assert.ok(size > 18 << 20 && size < 22 << 20, `${size}`);
    const unlimited = await api.output('dd if=/dev/zero of=/big bs=1M count=40 2>&1', limited('0'));
    assert.equal(unlimited.code, 0);
    await api.delete(`/containers/${id}?force=1`).is(204);
    await noDisks(daemon);
  });

  check('what was written is there after a restart, and can be looked at', async (api, daemon) => {
    const id = await api.run('echo kept >>/f; rm /etc/shadow; wc -l /f', limited('1G'));
    await api.post(`/containers/${id}/wait`).is(200);
    await noDisks(daemon);
    await api.post(`/containers/${id}/start`).is(204);
    await api.post(`/containers/${id}/wait`).is(200);
    const logs = await api.get(`/containers/${id}/logs?stdout=1`).reply();
    assert.match(logs.body.toString(), /2 \/f/);

    await api.put(`/containers/${id}/archive?path=/`, tar([{ name: 'put', data: 'in' }])).is(200);
    const got = await api.get(`/containers/${id}/archive?path=/f`).reply();
    assert.ok(got.body.includes('kept\nkept\n'));
    const changes = (await api.get(`/containers/${id}/changes`).is(200)) as { Path: string; Kind: number }[];
    assert.deepEqual(changes.map(({ Path, Kind }) => `${Kind} ${Path}`).toSorted(), [
      '0 /etc',
      '1 /f',
      '1 /put',
      '2 /etc/shadow',
    ]);
    const exported = await api.get(`/containers/${id}/export`).reply();
    assert.ok(exported.body.includes('kept\nkept\n'));
    await api.post(`/commit?container=${id}&repo=limited`, {}).is(201);
    const ran = await api.output('cat /f /put; ls /etc/shadow', { Image: 'limited' });
    assert.equal(ran.stdout, 'kept\nkept\nin');
    await api.delete('/images/limited').is(200);
    await noDisks(daemon);
    await api.delete(`/containers/${id}`).is(204);
  });

  check('what was written is counted to the byte', async (api) => {
    const id = await api.run('echo kept >/f; rm /etc/shadow', limited('1G'));
    await api.post(`/containers/${id}/wait`).is(200);
    assert.equal(await sizeOf(api, id), 5);
    await api.get('/containers/json?all=1&size=1').is(200, [{ SizeRw: 5 }]);
    await api.get('/system/df').is(200, { Containers: [{ SizeRw: 5 }] });
  });

  check('a running container’s disk outlives the engine', async (api, daemon) => {
    const id = await api.run('while :; do date >>/log; sleep 0.1; done', limited('50m'));
    const idle = await api.run('echo x >/f', limited('50m'));
    await api.post(`/containers/${idle}/wait`).is(200);
    await daemon.kill();
    await daemon.start();
    const before = await sizeOf(api, id);
    await until('the container writes on', async () => (await sizeOf(api, id)) > before);
    await api.post(`/containers/${id}/restart?t=0`).is(204);
    await until('the container writes on', async () => (await sizeOf(api, id)) > before);
    await api.delete(`/containers/${id}?force=1`).is(204);
    await noDisks(daemon);
    assert.deepEqual(readdirSync(path.join(daemon.dataRoot, 'snapshots')), [idle]);
  });

  check('what a kill leaves mounted of disks that nobody uses is taken away', async (api, daemon) => {
    const id = await api.run('exec sleep 600', limited('50m'));
    const idle = await api.run('echo x >/f', limited('50m'));
    await api.post(`/containers/${idle}/wait`).is(200);
    await daemon.kill();
    // What a kill in the midst of a look at a container leaves, and of one that was deleted meanwhile.
    const left = [idle, 'f'.repeat(64)].map((key) => path.join(daemon.execRoot, 'disks', key));
    for (const directory of left) {
      mkdirSync(directory, { recursive: true });
      execFileSync('mount', ['-t', 'tmpfs', 'left', directory], { timeout: 5000 });
    }
    await daemon.start();
    assert.deepEqual(readdirSync(path.join(daemon.execRoot, 'disks')), [id]);
  });
});
