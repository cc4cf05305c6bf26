import assert from 'node:assert/strict';
import { globSync, readdirSync, readFileSync, rmdirSync, rmSync } from 'node:fs';
import { execFileSync } from 'node:child_process';
import { describe, test } from 'node:test';

import { Api, field } from './api/client.ts';
import { type Daemon, mountsUnder, startDaemon, until } from './daemons.ts';
import { busyboxImage, dockerArchive } from './test-images.ts';

/** What a reboot does: no process is left, and nothing of what lay in memory, the exec root and the cgroups included. */
async function reboot(daemon: Daemon, ids: readonly string[]): Promise<void> {
  await daemon.kill();
  for (const pid of processesOf(daemon.execRoot, ids)) process.kill(pid, 'SIGKILL');
  await until('nothing runs', () => processesOf(daemon.execRoot, ids).length === 0);
  for (const mount of mountsUnder(daemon.execRoot).reverse()) execFileSync('umount', ['-l', mount]);
  rmSync(daemon.execRoot, { recursive: true, force: true });
  for (const id of ids) {
    for (const group of [`/sys/fs/cgroup/*/hull*/${id}`, `/sys/fs/cgroup/hull*/${id}`].flatMap((each) =>
      globSync(each),
    ))
      rmdirSync(group);
  }
  await daemon.start();
}

/** Monitors by what they were started with, containers' processes by their cgroup. */
function processesOf(execRoot: string, ids: readonly string[]): number[] {
  const read = (pid: string, file: string): string => {
    try {
      return readFileSync(`/proc/${pid}/${file}`, 'utf8');
    } catch {
      return '';
    }
  };
  return readdirSync('/proc')
    .filter((pid) => /^\d+$/.test(pid))
    .filter((pid) => {
      const group = read(pid, 'cgroup');
      return read(pid, 'cmdline').includes(execRoot) || ids.some((id) => group.includes(id));
    })
    .map(Number);
}

async function status(api: Api, id: string): Promise<string> {
  return field(await api.get(`/containers/${id}/json`).is(200), 'State', 'Status');
}

describe('after a reboot', () => {
  test('containers come back as their restart policies say', async () => {
    await using daemon = await startDaemon('hull');
    const api = new Api(daemon.socket);
    await api.post('/images/load?quiet=1', dockerArchive([busyboxImage()])).is(200);
    const policy = (Name: string, more: object = {}): Record<string, unknown> => ({
      HostConfig: { RestartPolicy: { Name }, ...more },
    });
    const started: Record<string, string> = {};
    for (const name of ['no', 'always', 'unless-stopped', 'on-failure'])
      started[name] = await api.run('sleep 600', policy(name));
    // Made before what it needs, by name, so that the order is not luck.
    const target = await api.run('sleep 600', policy('always'), 'target');
    started['linked'] = await api.run('sleep 600', policy('always', { Links: ['target:t'] }), 'a-linked');
    const stopped: Record<string, string> = {};
    for (const name of ['always', 'unless-stopped', 'on-failure']) {
      const id = await api.run('sleep 600', policy(name));
      await api.post(`/containers/${id}/stop?t=0`).is(204);
      stopped[name] = id;
    }
    const created = await api.create(policy('always'));
    const thrown = await api.run('sleep 600', { HostConfig: { AutoRemove: true } });

    const all = (await api.get('/containers/json?all=1').is(200)) as { Id: string }[];
    await reboot(
      daemon,
      all.map(({ Id }) => Id),
    );

    for (const id of [
      started['always'],
      started['unless-stopped'],
      started['on-failure'],
      target,
      started['linked'],
      stopped['always'],
    ])
      await until(`${id} runs`, async () => (await status(api, id ?? '')) === 'running');
    assert.equal(await status(api, started['no'] ?? ''), 'exited');
    await api.get(`/containers/${started['no']}/json`).is(200, { State: { ExitCode: 255, Pid: 0 } });
    assert.equal(await status(api, stopped['unless-stopped'] ?? ''), 'exited');
    assert.equal(await status(api, stopped['on-failure'] ?? ''), 'exited');
    assert.equal(await status(api, created), 'created');
    await api.get(`/containers/${thrown}/json`).is(404);
    const running = await api.get(`/containers/${started['linked']}/json`).is(200);
    assert.ok(Number(field(running, 'State', 'Pid')) > 0);
  });
  test('a container that waits for its restart goes on waiting', async () => {
    await using daemon = await startDaemon('hull');
    const api = new Api(daemon.socket);
    await api.post('/images/load?quiet=1', dockerArchive([busyboxImage()])).is(200);
    const id = await api.run('exit 3', { HostConfig: { RestartPolicy: { Name: 'always' } } });
    const restarts = async (): Promise<number> =>
      Number(field(await api.get(`/containers/${id}/json`).is(200), 'RestartCount'));
    await until('three restarts', async () => (await restarts()) >= 3);
    await daemon.kill();
    await daemon.start();
    const before = await restarts();
    assert.ok(before >= 3);
    await until('another restart', async () => (await restarts()) > before);
  });
  test('what the daemon itself stopped is started with it', async () => {
    await using daemon = await startDaemon('hull', { flags: ['--live-restore=false'] });
    const api = new Api(daemon.socket);
    await api.post('/images/load?quiet=1', dockerArchive([busyboxImage()])).is(200);
    const line = 'trap "exit 0" TERM; sleep 600 & wait';
    const id = await api.run(line, { HostConfig: { RestartPolicy: { Name: 'unless-stopped' } } });
    await daemon.stop();
    await daemon.start();
    await until('it runs again', async () => (await status(api, id)) === 'running');
  });
});

describe('an unhealthy container', () => {
  test('is restarted or stopped where its label says so', async () => {
    await using daemon = await startDaemon('hull');
    const api = new Api(daemon.socket);
    await api.post('/images/load?quiet=1', dockerArchive([busyboxImage()])).is(200);
    const check = { Test: ['CMD-SHELL', 'test -e /tmp/well'], Interval: 1e8, Retries: 2 };
    const unhealthy = (action: string): Promise<string> =>
      api.run('trap "exit 0" TERM; test -e /tmp/once && touch /tmp/well; touch /tmp/once; sleep 600 & wait', {
        Healthcheck: check,
        Labels: { 'hull.on-unhealthy': action },
      });
    const [restarted, stopped, left] = [
      await unhealthy('restart'),
      await unhealthy('stop'),
      await unhealthy('none'),
    ];
    const health = async (id: string): Promise<string> =>
      field(await api.get(`/containers/${id}/json`).is(200), 'State', 'Health', 'Status');
    await until('it is restarted and well', async () => (await health(restarted)) === 'healthy');
    await until('it is stopped', async () => (await status(api, stopped)) === 'exited');
    await until('it is unhealthy', async () => (await health(left)) === 'unhealthy');
    assert.equal(await status(api, left), 'running');
    await api
      .post('/containers/create', { Image: 'busybox', Labels: { 'hull.on-unhealthy': 'explode' } })
      .is(400, { message: /^invalid label hull\.on-unhealthy="explode"/ });
  });
});
