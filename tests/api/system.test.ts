import assert from 'node:assert/strict';

import { sleep, until } from '../daemons.ts';
import { field, type Api, type Json } from './client.ts';
import { onEveryEngine } from './engines.ts';

interface Event {
  Type: string;
  Action: string;
  Actor: { ID: string; Attributes: Record<string, string> };
  scope: string;
  time: number;
  timeNano: number;
}

/** What happened from a moment until now. */
async function eventsOf(api: Api, since: string, filters: Record<string, string[]> = {}): Promise<Event[]> {
  await sleep(2);
  const until = nowSeconds();
  const query = `since=${since}&until=${until}&filters=${encodeURIComponent(JSON.stringify(filters))}`;
  const reply = await api.get(`/events?${query}`).reply();
  assert.equal(reply.status, 200, reply.body.toString());
  const lines = reply.body.toString().split('\n').filter(Boolean);
  return lines.map((line) => JSON.parse(line) as Event);
}

/** Waits until these things have been told of: some are a little later than the answer to what caused them. */
async function told(api: Api, since: string, id: string, actions: readonly string[]): Promise<void> {
  await until(
    `${actions.join()} of ${id}`,
    async () => {
      const seen = (await eventsOf(api, since, { container: [id] })).map(({ Action }) => Action);
      return actions.every((action) => seen.includes(action));
    },
    10_000,
  );
}

/** Seconds since 1970, with a fraction, so that what another check did is not seen. */
function nowSeconds(): string {
  return (Date.now() / 1000).toFixed(3);
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
    const since = nowSeconds();
    const id = await api.run('exit 3', { Labels: { l: 'm' } }, 'evented');
    await api.post('/containers/evented/wait').is(200);
    await told(api, since, id, ['die']);
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
    const since = nowSeconds();
    const id = await api.run('sleep 600', { HostConfig: { Binds: ['evol:/v'] } });
    const exec = field(await api.post(`/containers/${id}/exec`, { Cmd: ['true'] }).is(201), 'Id');
    await api.post(`/exec/${exec}/start`, { Detach: true }).is(200);
    await told(api, since, id, ['exec_die']);
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
  check('events of everything else that is done to a container', async (api) => {
    const since = nowSeconds();
    const id = await api.run('sleep 600', { Tty: true, OpenStdin: true }, 'busy');
    await api.get(`/containers/${id}/top`).is(200);
    await api.post(`/containers/${id}/resize?h=30&w=90`).is(200);
    await api.post(`/containers/${id}/pause`).is(204);
    await api.post(`/containers/${id}/unpause`).is(204);
    await api.post(`/containers/${id}/update`, { CpuShares: 512 }).is(200);
    await api.get(`/containers/${id}/archive?path=/etc/passwd`).is(200);
    await api.get(`/containers/${id}/export`).is(200);
    await api.post(`/commit?container=${id}&repo=committed`).is(201);
    const attached = await api.raw(
      'POST',
      `/containers/${id}/attach?stream=1&stdin=1&stdout=1&detachKeys=q`,
      {
        upgrade: true,
      },
    );
    attached.write('q');
    await attached.end();
    await api.post(`/containers/${id}/kill?signal=CONT`).is(204);
    await api.post(`/containers/${id}/restart?t=0`).is(204);
    await api.post(`/containers/${id}/stop?t=0`).is(204);
    await told(api, since, id, ['detach', 'stop']);
    await api.delete('/images/committed').is(200);
    const events = (await eventsOf(api, since, { type: ['container'] })).filter(
      ({ Actor }) => Actor.ID === id,
    );
    const first = (action: string): Record<string, string> => {
      const found = events.find(({ Action }) => Action === action);
      assert.ok(found, `${action} in ${events.map(({ Action }) => Action).join(', ')}`);
      return found.Actor.Attributes;
    };
    for (const action of [
      'top',
      'pause',
      'unpause',
      'update',
      'archive-path',
      'export',
      'attach',
      'detach',
      'stop',
      'restart',
    ]) {
      assert.deepEqual(first(action), { image: 'busybox', name: 'busy' }, action);
    }
    assert.deepEqual(first('resize'), { image: 'busybox', name: 'busy', height: '30', width: '90' });
    assert.equal(first('kill')['signal'], '18');
    assert.ok('comment' in first('commit'));
  });
  check('an exec that a client detached from is told', async (api) => {
    const since = nowSeconds();
    const id = await api.run('sleep 600');
    const config = { Cmd: ['cat'], Tty: true, AttachStdin: true, AttachStdout: true, DetachKeys: 'q' };
    const exec = field(await api.post(`/containers/${id}/exec`, config).is(201), 'Id');
    const joined = await api.raw('POST', `/exec/${exec}/start`, { body: { Tty: true }, upgrade: true });
    joined.write('a\n');
    await joined.has('a');
    joined.write('q');
    await joined.end();
    await told(api, since, id, ['exec_detach']);
    const [event] = await eventsOf(api, since, { event: ['exec_detach'] });
    assert.equal(event?.Actor.Attributes['execID'], exec);
  });
  check('a prune is told with what it gave back', async (api) => {
    const since = nowSeconds();
    await api.create({}, 'prunable');
    await api.post('/volumes/create', { Labels: { prune: 'me' } }).is(201);
    const filters = encodeURIComponent('{"label":["prune=me"]}');
    await api
      .post('/containers/prune')
      .is(200, { ContainersDeleted: (list) => Array.isArray(list) && list.length === 1 });
    await api
      .post(`/volumes/prune?filters=${filters}`)
      .is(200, { VolumesDeleted: (list) => Array.isArray(list) && list.length === 1 });
    await api.post(`/images/prune?filters=${filters}`).is(200, { ImagesDeleted: null, SpaceReclaimed: 0 });
    await api.post(`/networks/prune?filters=${filters}`).is(200, { NetworksDeleted: null });
    await api.post('/build/prune').is(200, { CachesDeleted: null, SpaceReclaimed: 0 });
    const told = (await eventsOf(api, since, { event: ['prune'] })).filter(({ Type }) => Type !== 'builder');
    assert.deepEqual(
      told.map(({ Type }) => Type),
      ['container', 'volume', 'image', 'network'],
    );
    for (const { Actor } of told) {
      assert.equal(Actor.ID, '');
      assert.match(Actor.Attributes['reclaimed'] ?? '', /^\d+$/);
    }
  });
  check('prunes refuse filters that they do not know, and do not run twice at once', async (api) => {
    for (const noun of ['containers', 'volumes', 'images', 'networks']) {
      await api
        .post(`/${noun}/prune?filters=%7B%22nonsense%22%3A%5B%22x%22%5D%7D`)
        .is(400, { message: /[Ii]nvalid filter/ });
    }
    await Promise.all(Array.from({ length: 10 }, (_, index) => api.create({}, `prunable${index}`)));
    const prunes = await Promise.all(Array.from({ length: 5 }, () => api.post('/containers/prune').reply()));
    assert.ok(prunes.some(({ status }) => status === 200));
    for (const { status, body } of prunes.filter(({ status }) => status !== 200)) {
      assert.equal(
        `${status} ${body.toString().trim()}`,
        '409 {"message":"a prune operation is already running"}',
      );
    }
  });
  check('prunes take what their filters want and leave the rest', async (api) => {
    const prune = async (noun: string, filters: Record<string, string[]>): Promise<Json> =>
      api.post(`/${noun}/prune?filters=${encodeURIComponent(JSON.stringify(filters))}`).is(200);
    const kept = await api.create({ Labels: { keep: 'yes', kind: 'x' } });
    const gone = await api.create({ Labels: { kind: 'x' } });
    const other = await api.run('exit 0', { Labels: { kind: 'y' } });
    await api.post(`/containers/${other}/wait`).is(200);
    const pruned = async (filters: Record<string, string[]>): Promise<string> =>
      field(await prune('containers', filters), 'ContainersDeleted');
    assert.equal(await pruned({ label: ['kind=z'] }), 'null');
    assert.equal(await pruned({ until: ['1h'] }), 'null');
    assert.equal(await pruned({ until: ['2001-01-01'] }), 'null');
    assert.equal(await pruned({ label: ['kind=x'], 'label!': ['keep'] }), JSON.stringify([gone]));
    assert.equal(await pruned({ 'label!': ['keep=yes'], until: [nowSeconds()] }), JSON.stringify([other]));
    assert.equal(await pruned({}), JSON.stringify([kept]));
    await api
      .post('/containers/prune?filters=%7B%22until%22%3A%5B%22x%22%5D%7D')
      .is([400, 500], { message: /./ });

    for (const name of ['vol-a', 'vol-b'])
      await api.post('/volumes/create', { Name: name, Labels: { n: name } }).is(201);
    assert.equal(field(await prune('volumes', { label: ['n=vol-a'] }), 'VolumesDeleted'), '["vol-a"]');
    await api.get('/volumes/vol-b').is(200);
    await api.delete('/volumes/vol-b').is(204);

    assert.equal(
      field(await prune('images', { dangling: ['false'], label: ['no=such'] }), 'ImagesDeleted'),
      'null',
    );
    assert.equal(
      field(await prune('images', { dangling: ['false'], until: ['2001-01-01'] }), 'ImagesDeleted'),
      'null',
    );
    await api.post('/images/busybox/tag?repo=prunable&tag=v1').is(201);
    // Tagged ones are kept, without a word about it.
    assert.equal(field(await prune('images', {}), 'ImagesDeleted'), 'null');
    await api.delete('/images/prunable:v1').is(200);
  });
  check('events are given since and until the nanosecond', async (api) => {
    const since = nowSeconds();
    for (const name of ['tick1', 'tick2', 'tick3']) await api.create({}, name);
    await sleep(2);
    const raw = (await api.get(`/events?since=${since}&until=${nowSeconds()}`).reply()).body.toString();
    const stamps = [...raw.matchAll(/"timeNano":(\d+)/g)].map(([, nanos = '']) => nanos);
    assert.equal(stamps.length, 3, raw);
    const [first = '', second = '', third = ''] = stamps.map(
      (nanos) => `${nanos.slice(0, -9)}.${nanos.slice(-9)}`,
    );
    assert.ok(first < second && second < third);
    const between = async (from: string, to: string): Promise<string[]> => {
      const found = (await api.get(`/events?since=${from}&until=${to}`).reply()).body.toString();
      return [...found.matchAll(/"name":"(tick\d)"/g)].map(([, name = '']) => name);
    };
    assert.deepEqual(await between(second, second), ['tick2']);
    assert.deepEqual(await between(first, second), ['tick1', 'tick2']);
    await api
      .get(`/events?since=${third}&until=${first}`)
      .is(400, { message: /^`since` time \(.*\) cannot be after `until` time/ });
    await api.get('/events?since=x').is([400, 500], { message: /./ });
    await api.get('/events?filters=x').is([400, 500], { message: /invalid (filter|character)/ });
  });
  check('events filter by type, event, image and label', async (api) => {
    const since = nowSeconds();
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
  check('system/df counts what is used by whom', async (api) => {
    const id = await api.run('echo 12345 >/file; echo 123 >/v/file; sleep 600', {
      HostConfig: { Binds: ['measured:/v'] },
    });
    await api.create({ Image: 'layered:v1' }, 'stopped');
    const df = async (): Promise<Record<string, Record<string, Json>[]>> =>
      (await api.get('/system/df').is(200)) as Record<string, Record<string, Json>[]>;
    const sizes = async (): Promise<Json[]> => {
      const { Containers = [], Volumes = [] } = await df();
      const volume = Volumes.find(({ Name }) => Name === 'measured')?.['UsageData'] as {
        RefCount: number;
        Size: number;
      };
      const written = Containers.find(({ Id }) => Id === id)?.['SizeRw'];
      return [Number(written) > 0, volume.RefCount, volume.Size];
    };
    await until('both are counted', async () => JSON.stringify(await sizes()) === '[true,1,4]');
    const { Images = [] } = await df();
    // They have a layer in common.
    for (const { SharedSize, Size } of Images)
      assert.ok(Number(SharedSize) > 0 && Number(SharedSize) <= Number(Size));
    await api.delete(`/containers/${id}?force=1`).is(204);
    await api.delete('/volumes/measured').is(204);
  });
});
