import assert from 'node:assert/strict';

import { sleep } from '../daemons.ts';
import { field, type Api } from './client.ts';
import { onEveryEngine } from './engines.ts';

interface Event {
  Type: string;
  Action: string;
  Actor: { ID: string; Attributes: Record<string, string> };
  scope: string;
  time: number;
  timeNano: number;
}

async function eventsOf(api: Api, since: number, filters: Record<string, string[]> = {}): Promise<Event[]> {
  const until = Math.ceil(Date.now() / 1000) + 1;
  const query = `since=${since}&until=${until}&filters=${encodeURIComponent(JSON.stringify(filters))}`;
  const reply = await api.get(`/events?${query}`).reply();
  assert.equal(reply.status, 200, reply.body.toString());
  const lines = reply.body.toString().split('\n').filter(Boolean);
  return lines.map((line) => JSON.parse(line) as Event);
}

onEveryEngine('system', ({ check }) => {
  check('_ping', async (api) => {
    const headers = {
      'api-version': /^1\.\d+$/,
      'docker-experimental': /^(true|false)$/,
      ostype: 'linux',
      'cache-control': 'no-cache, no-store, must-revalidate',
      pragma: 'no-cache',
      'content-type': /^text\/plain/,
    };
    await api.get('/_ping').headers(200, { ...headers, 'content-length': '2' });
    await api.head('/_ping').headers(200, headers);
    await api.get('/_ping').is(200, 'OK');
    await api.get('/v1.41/_ping').is(200, 'OK');
  });
  check('version', async (api) => {
    await api.get('/version').is(200, {
      Version: /./,
      ApiVersion: /^1\.\d+$/,
      MinAPIVersion: /^1\.\d+$/,
      Os: 'linux',
      Arch: /./,
      KernelVersion: /./,
      Components: (list) => Array.isArray(list) && list.length > 0,
    });
  });
  check('versions out of range are refused in words the clients know', async (api) => {
    const says =
      (words: RegExp) =>
      (body: unknown): boolean =>
        words.test(JSON.stringify(body));
    await api
      .get('/v1.1/info')
      .is(
        400,
        says(
          /client version 1\.1 is too old\. Minimum supported API version is 1\.\d+, please upgrade your client to a newer version/,
        ),
      );
    await api
      .get('/v9.99/info')
      .is(400, says(/client version 9\.99 is too new\. Maximum supported API version is 1\.\d+/));
    // What is no version is a path, and a path that is not there.
    for (const prefix of ['v', 'vx', 'v1.41x', 'V1.41', 'v-1']) await api.get(`/!${prefix}/info`).is(404);
    for (const prefix of ['v1.41.0', 'v01.41', 'v1.24']) await api.get(`/!${prefix}/_ping`).is(200);
    for (const prefix of ['v1', 'v.', 'v1..', 'v0', 'v1.11']) {
      await api.get(`/!${prefix}/_ping`).is(400, says(/is too old\. Minimum supported/));
    }
    await api.get('/!containers/json').is(200);
  });
  check('an unknown path is 404', async (api) => {
    await api.get('/nosuch').is(404, { message: 'page not found' });
    await api.post('/!nosuch').is(404, { message: 'page not found' });
  });
  check('info counts', async (api) => {
    await api.create();
    await api.run('sleep 600');
    await api.get('/info').is(200, {
      Containers: 2,
      ContainersRunning: 1,
      ContainersStopped: 1,
      ContainersPaused: 0,
      Images: 2,
      OSType: 'linux',
      NCPU: (count) => Number(count) > 0,
      MemTotal: (size) => Number(size) > 1e8,
      KernelVersion: /./,
      OperatingSystem: /./,
      Name: /./,
      ServerVersion: /./,
      DockerRootDir: /\/data$/,
      Driver: /./,
      LoggingDriver: 'json-file',
      CgroupDriver: /^(cgroupfs|systemd)$/,
      CgroupVersion: /^[12]$/,
      DefaultRuntime: /./,
      Swarm: { LocalNodeState: 'inactive' },
      Plugins: { Volume: ['local'] },
      SecurityOptions: (list) => JSON.stringify(list).includes('seccomp'),
    });
  });
  check('info has the keys that clients of its version read', async (api) => {
    const given = (value: unknown): boolean => value !== undefined;
    const switches =
      'MemoryLimit SwapLimit CpuCfsPeriod CpuCfsQuota CPUShares CPUSet PidsLimit OomKillDisable IPv4Forwarding BridgeNfIptables BridgeNfIp6tables Debug ExperimentalBuild LiveRestoreEnabled';
    const texts =
      'ID SystemTime KernelVersion OSVersion IndexServerAddress Architecture HttpProxy HttpsProxy NoProxy Isolation InitBinary';
    const typed = (names: string, type: string): [string, (value: unknown) => boolean][] =>
      names.split(' ').map((name) => [name, (value) => typeof value === type]);
    await api.get('/info').is(200, {
      ...Object.fromEntries([
        ...typed(switches, 'boolean'),
        ...typed(texts, 'string'),
        ...typed('NFd NGoroutines NEventsListener', 'number'),
      ]),
      DriverStatus: (list) => Array.isArray(list),
      Labels: (list) => Array.isArray(list),
      Warnings: (list) => Array.isArray(list) || list === null,
      RegistryConfig: { IndexConfigs: { 'docker.io': { Official: true, Secure: true } }, Mirrors: given },
      Runtimes: { runc: { path: 'runc' } },
      RuncCommit: { ID: /./, Expected: /./ },
      InitCommit: { ID: given, Expected: given },
      ContainerdCommit: { ID: given, Expected: given },
      Plugins: { Network: given, Log: given },
    });
  });
  check('version names the programs beside the engine', async (api) => {
    const version = (await api.get('/version').is(200)) as {
      Components: { Name: string; Version: string }[];
    };
    const names = version.Components.map(({ Name }) => Name);
    assert.equal(names[0], 'Engine');
    assert.ok(names.includes('runc') || names.includes('crun'), names.join());
    for (const { Name, Version } of version.Components) assert.match(Version, /^\d/, Name);
  });
  check('events of a life', async (api) => {
    const since = Math.floor(Date.now() / 1000);
    const id = await api.run('exit 3', { Labels: { l: 'm' } }, 'evented');
    await api.post('/containers/evented/wait').is(200);
    await sleep(300);
    await api.post('/containers/evented/rename?name=renamed').is(204);
    await api.delete('/containers/renamed').is(204);
    const events = await eventsOf(api, since, { container: [id] });
    const actions = events.filter((event) => event.Type === 'container').map((event) => event.Action);
    assert.deepEqual(actions, ['create', 'start', 'die', 'rename', 'destroy']);
    const die = events.find((event) => event.Action === 'die');
    assert.deepEqual(
      { ...die?.Actor.Attributes, execDuration: undefined },
      { image: 'busybox', name: 'evented', exitCode: '3', l: 'm', execDuration: undefined },
    );
    assert.equal(die?.Actor.ID, id);
    assert.equal(die?.scope, 'local');
    assert.equal(Math.floor((die?.timeNano ?? 0) / 1e9), die?.time);
  });
  check('events of networks, volumes, images and execs', async (api) => {
    const since = Math.floor(Date.now() / 1000);
    const id = await api.run('sleep 600', { HostConfig: { Binds: ['evol:/v'] } });
    const exec = field(await api.post(`/containers/${id}/exec`, { Cmd: ['true'] }).is(201), 'Id');
    await api.post(`/exec/${exec}/start`, { Detach: true }).is(200);
    await sleep(300);
    await api.delete(`/containers/${id}?force=1`).is(204);
    await api.delete('/volumes/evol').is(204);
    await api.post('/images/busybox/tag?repo=evented&tag=v1').is(201);
    await api.delete('/images/evented:v1').is(200);
    const events = await eventsOf(api, since);
    const seen = new Set(events.map((event) => `${event.Type} ${event.Action}`));
    for (const wanted of [
      'network connect',
      'network disconnect',
      'volume create',
      'volume mount',
      'volume unmount',
      'volume destroy',

      'image tag',
      'image untag',
      'container exec_create: true ',
      'container exec_start: true ',
      'container exec_die',

      'container kill',
      'container die',
      'container destroy',
    ]) {
      assert.ok(seen.has(wanted), `${wanted} in ${[...seen].join(', ')}`);
    }
  });
  check('events filter by type, event, image and label', async (api) => {
    const since = Math.floor(Date.now() / 1000);
    const id = await api.create({ Labels: { pick: 'me' } });
    await api.delete(`/containers/${id}`).is(204);
    const all = async (filters: Record<string, string[]>): Promise<string[]> =>
      (await eventsOf(api, since, filters))
        .filter((event) => event.Actor.ID === id)
        .map((event) => event.Action);
    assert.deepEqual(await all({ type: ['container'] }), ['create', 'destroy']);
    assert.deepEqual(await all({ event: ['destroy'] }), ['destroy']);
    assert.deepEqual(await all({ label: ['pick=me'] }), ['create', 'destroy']);
    assert.deepEqual(await all({ label: ['pick=you'] }), []);
    assert.deepEqual(await all({ image: ['busybox'] }), ['create', 'destroy']);
  });
  check('events are streamed as they happen', async (api) => {
    const stream = await api.raw('GET', '/events');
    assert.equal(stream.status, 200);
    assert.match(stream.headers['content-type'] ?? '', /^application\/json/);
    const id = await api.create({}, 'streamed');
    await stream.has(`"${id}"`);
    stream.close();
  });
  check('system/df', async (api) => {
    await api.create();
    await api.get('/system/df').is(200, {
      Images: (list) => Array.isArray(list) && list.length === 2,
      Containers: (list) => Array.isArray(list) && list.length === 1,
      LayersSize: (size) => Number(size) > 1e6,
    });
  });
});
