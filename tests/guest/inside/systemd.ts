import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';

import { Api, field } from '../../api/client.ts';
import { onEveryEngine } from '../../api/engines.ts';
import { CHECKOUT, PATIENCE, request, until } from '../../daemons.ts';

const MEGABYTE = 1 << 20;
const SOCKET = '/run/hull/hull.sock';

function systemctl(...words: string[]): string {
  return execFileSync('systemctl', words, { encoding: 'utf8', timeout: 20_000 * PATIENCE }).trim();
}

async function cgroupOf(api: Api, id: string): Promise<string> {
  const pid = field(await api.get(`/containers/${id}/json`).is(200), 'State', 'Pid');
  return readFileSync(`/proc/${pid}/cgroup`, 'utf8').trim().replace('0::', '');
}

onEveryEngine('systemd', ({ check }) => {
  check('info tells that systemd makes the cgroups', async (api) => {
    await api.get('/info').is(200, { CgroupVersion: '2', CgroupDriver: 'systemd', Driver: 'erofs' });
  });
  for (const Runtime of ['crun', 'runc']) {
    check(`${Runtime}: a container is a scope whose limits systemd knows, and goes whole`, async (api) => {
      const id = await api.run('sleep 600', {
        HostConfig: { Runtime, Memory: 32 * MEGABYTE, PidsLimit: 20 },
      });
      const group = await cgroupOf(api, id);
      const scope = `hull-${id}.scope`;
      assert.match(group, new RegExp(`^/system.slice/${scope}(/container)?$`));
      const file = (name: string): string =>
        readFileSync(path.join('/sys/fs/cgroup', group, name), 'utf8').trim();
      // systemd takes away what it does not know of when it next applies its units' settings.
      systemctl('daemon-reload');
      systemctl('set-property', '--runtime', scope, 'CPUWeight=50');
      assert.equal(file('memory.max'), String(32 * MEGABYTE));
      assert.equal(file('pids.max'), '20');
      await api.post(`/containers/${id}/update`, { Memory: 48 * MEGABYTE, MemorySwap: -1 }).is(200);
      assert.equal(file('memory.max'), String(48 * MEGABYTE));
      await api.post(`/containers/${id}/pause`).is(204);
      assert.match(file('cgroup.events'), /frozen 1/);
      await api.post(`/containers/${id}/unpause`).is(204);
      await api.get(`/containers/${id}/stats?stream=0&one-shot=1`).is(200, {
        memory_stats: { limit: 48 * MEGABYTE },
        pids_stats: { current: 1, limit: 20 },
      });
      await api.post(`/containers/${id}/restart?t=0`).is(204);
      assert.equal(await cgroupOf(api, id), group);
      await api.delete(`/containers/${id}?force=1`).is(204);
      assert.ok(!existsSync(path.join('/sys/fs/cgroup', group)));
      await until(
        'systemd has forgotten the scope',
        () => !systemctl('list-units', '--all', '--plain').includes(scope),
      );
    });
  }
  check('a parent is a slice, and nothing else', async (api) => {
    const id = await api.run('sleep 600', { HostConfig: { CgroupParent: 'mine-own.slice' } });
    assert.ok((await cgroupOf(api, id)).startsWith(`/mine.slice/mine-own.slice/hull-${id}.scope`));
    await api
      .post('/containers/create', { Image: 'busybox', HostConfig: { CgroupParent: '/mine' } })
      .is(400, {
        message: 'cgroup-parent for systemd cgroup should be a valid slice named as "xxx.slice"',
      });
  });
  check('killed for its memory, and no failed unit is left', async (api) => {
    const id = await api.run('tail /dev/zero', {
      HostConfig: { Memory: 16 * MEGABYTE, MemorySwap: 16 * MEGABYTE },
    });
    await api.post(`/containers/${id}/wait`).is(200, { StatusCode: 137 });
    assert.doesNotMatch(systemctl('list-units', '--failed', '--plain'), /hull-/);
  });
});

test(
  'packaging/hulld.service: containers outlive a restart of the service',
  { timeout: 60_000 * PATIENCE },
  async () => {
    const unit = readFileSync(path.join(CHECKOUT, 'packaging/hulld.service'), 'utf8').replaceAll(
      '/opt/hull',
      CHECKOUT,
    );
    writeFileSync(
      '/run/systemd/system/hulld.service',
      unit.replace(/^(After|Wants)=network-online.*$/gm, ''),
    );
    systemctl('daemon-reload');
    systemctl('start', 'hulld');
    const answers = async (): Promise<boolean> => {
      try {
        return (await request(SOCKET, 'GET', '/_ping')).status === 200;
      } catch {
        return false;
      }
    };
    await until('the service answers', answers, 30_000);
    const api = new Api(SOCKET);
    const layer = execFileSync('tar', ['-C', '/', '-c', 'usr/bin/busybox'], { maxBuffer: 64 * MEGABYTE });
    await api.post('/images/create?fromSrc=-&repo=busybox', layer).is(200);
    const id = await api.create({ Cmd: ['/usr/bin/busybox', 'sleep', '600'] });
    await api.post(`/containers/${id}/start`).is(204);
    const pid = (): Promise<string> =>
      api
        .get(`/containers/${id}/json`)
        .is(200)
        .then((value) => field(value, 'State', 'Pid'));
    const before = await pid();
    systemctl('restart', 'hulld');
    await until('the service answers again', answers, 30_000);
    assert.equal(await pid(), before);
    await api.get(`/containers/${id}/json`).is(200, { State: { Running: true } });
    await api.delete(`/containers/${id}?force=1`).is(204);
    systemctl('stop', 'hulld');
  },
);
