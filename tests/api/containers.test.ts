import assert from 'node:assert/strict';

import { until } from '../daemons.ts';
import { demultiplex, field } from './client.ts';
import { onEveryEngine } from './engines.ts';

const HEX = /^[0-9a-f]{64}$/;
const NO_SUCH = { message: 'No such container: nope' };

onEveryEngine('containers', ({ check }) => {
  check('create answers the id and no warnings', async (api) => {
    await api.post('/containers/create', { Image: 'busybox' }).is(201, { Id: HEX, Warnings: [] });
  });
  check('create of an unknown image is 404', async (api) => {
    await api
      .post('/containers/create', { Image: 'no/such:image' })
      .is(404, { message: 'No such image: no/such:image' });
  });
  check('create without a body, a command or an image is refused', async (api) => {
    await api
      .post('/containers/create', {})
      .is(400, { message: /No command specified|config cannot be empty/i });
    await api.post('/containers/create', '').is(400);
  });
  check('create with broken JSON is 400', async (api) => {
    await api.post('/containers/create', '{"Image": ').is(400);
  });
  check('create refuses a bad name', async (api) => {
    const body = { Image: 'busybox' };
    await api.post('/containers/create?name=-bad', body).is(400, {
      message: /Invalid container name \(-bad\), only \[a-zA-Z0-9\]\[a-zA-Z0-9_\.-\] are allowed/,
    });
    await api.post('/containers/create?name=a', body).is(400, { message: /Invalid container name \(a\)/ });
  });
  check('create under a taken name is 409 and names the holder', async (api) => {
    const id = await api.create({}, 'taken');
    await api.post('/containers/create?name=taken', { Image: 'busybox' }).is(409, {
      message: `Conflict. The container name "/taken" is already in use by container "${id}". You have to remove (or rename) that container to be able to reuse that name.`,
    });
  });
  check('create ignores unknown fields and takes null for absent', async (api) => {
    await api
      .post('/containers/create', { Image: 'busybox', Cmd: null, Env: null, HostConfig: null, Zzz: { a: 1 } })
      .is(201);
  });
  check('create folds the case of keys, as Go does', async (api) => {
    const id = field(await api.post('/containers/create', { image: 'busybox', cmd: ['true'] }).is(201), 'Id');
    await api.get(`/containers/${id}/json`).is(200, { Config: { Cmd: ['true'] } });
  });
  check('create validates what it is given', async (api) => {
    const bad = async (body: Record<string, unknown>, message: RegExp): Promise<void> => {
      await api.post('/containers/create', { Image: 'busybox', ...body }).is(400, { message });
    };
    await bad(
      { WorkingDir: 'relative' },
      /the working directory 'relative' is invalid, it needs to be an absolute path/,
    );
    await bad({ HostConfig: { Memory: 1024 } }, /Minimum memory limit allowed is 6MB/i);
    await bad(
      { HostConfig: { MemorySwap: 10_000_000 } },
      /You should always set the Memory limit when using Memoryswap limit/i,
    );
    await bad({ HostConfig: { NanoCpus: 1e15 } }, /Range of CPUs is from 0\.01 to/i);
    await bad({ HostConfig: { RestartPolicy: { Name: 'sometimes' } } }, /invalid restart policy/i);
    await bad({ HostConfig: { NetworkMode: 'container:' } }, /container/i);
  });
  check('inspect of a created container', async (api) => {
    const id = await api.create({ Cmd: ['sleep', '1'], Env: ['A=b'], Labels: { x: 'y' } }, 'inspected');
    await api.get('/containers/inspected/json').is(200, {
      Id: id,
      Name: '/inspected',
      Created: /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z$/,
      Path: 'sleep',
      Args: ['1'],
      Image: /^sha256:/,
      RestartCount: 0,
      Platform: 'linux',
      State: {
        Status: 'created',
        Running: false,
        Paused: false,
        Restarting: false,
        OOMKilled: false,
        Dead: false,
        Pid: 0,
        ExitCode: 0,
        Error: '',
        StartedAt: '0001-01-01T00:00:00Z',
        FinishedAt: '0001-01-01T00:00:00Z',
      },
      Config: {
        Hostname: id.slice(0, 12),
        Image: 'busybox',
        Cmd: ['sleep', '1'],
        Env: ['A=b', /^PATH=/],
        Labels: { x: 'y' },
        Tty: false,
        Entrypoint: null,
        Volumes: null,
        WorkingDir: '',
        User: '',
      },
      HostConfig: {
        NetworkMode: /^(default|bridge)$/,
        RestartPolicy: { Name: /^(no)?$/, MaximumRetryCount: 0 },
        AutoRemove: false,
        Privileged: false,
        ShmSize: 67_108_864,
        LogConfig: { Type: 'json-file' },
        MaskedPaths: (value) => Array.isArray(value) && value.includes('/proc/kcore'),
        ReadonlyPaths: (value) => Array.isArray(value) && value.includes('/proc/sys'),
        IpcMode: 'private',
        Memory: 0,
      },
      Mounts: [],
      NetworkSettings: { Networks: { bridge: { IPAddress: '' } } },
    });
  });
  check('inspect by name, by id and by a short id', async (api) => {
    const id = await api.create({}, 'threeways');
    for (const ref of ['threeways', id, id.slice(0, 12), id.slice(0, 6)]) {
      await api.get(`/containers/${encodeURIComponent(ref)}/json`).is(200, { Id: id });
    }
  });
  check('an unknown container is 404 everywhere', async (api) => {
    await api.get('/containers/nope/json').is(404, NO_SUCH);
    await api.get('/containers/nope/logs?stdout=1').is(404, NO_SUCH);
    await api.get('/containers/nope/top').is(404, NO_SUCH);
    for (const verb of [
      'start',
      'stop',
      'restart',
      'pause',
      'unpause',
      'wait',
      'resize?h=1&w=1',
      'rename?name=x',
    ]) {
      await api.post(`/containers/nope/${verb}`).is(404, NO_SUCH);
    }
    await api.post('/containers/nope/kill').is(404, { message: /No such container: nope/ });
    await api.post('/containers/nope/exec', { Cmd: ['true'] }).is(404, NO_SUCH);
    await api.post('/containers/nope/attach').is(404);
    await api.delete('/containers/nope').is(404, NO_SUCH);
  });
  check('start, and start again, and stop, and stop again', async (api) => {
    const id = await api.create({ Cmd: ['sleep', '600'], StopSignal: 'SIGKILL' });
    await api.post(`/containers/${id}/start`).is(204);
    await api.post(`/containers/${id}/start`).is(304);
    await api.get(`/containers/${id}/json`).is(200, {
      State: { Status: 'running', Running: true, Pid: (pid) => Number(pid) > 0, StartedAt: /^20/ },
    });
    await api.post(`/containers/${id}/stop?t=5`).is(204);
    await api.post(`/containers/${id}/stop?t=5`).is(304);
    await api.get(`/containers/${id}/json`).is(200, {
      State: { Status: 'exited', Running: false, Pid: 0, ExitCode: 137, FinishedAt: /^20/ },
    });
  });
  check('stop sends the stop signal, then kills after the timeout', async (api) => {
    const polite = await api.run('trap "exit 7" TERM; echo set; while :; do sleep 0.05; done');
    await api.spoke(polite);
    await api.post(`/containers/${polite}/stop?t=10`).is(204);
    await api.get(`/containers/${polite}/json`).is(200, { State: { ExitCode: 7 } });
    const deaf = await api.run('trap "" TERM; echo set; while :; do sleep 0.05; done');
    await api.spoke(deaf);
    const began = Date.now();
    await api.post(`/containers/${deaf}/stop?t=1`).is(204);
    assert.ok(Date.now() - began >= 900, 'waited for the timeout');
    await api.get(`/containers/${deaf}/json`).is(200, { State: { ExitCode: 137 } });
  });
  check("the image's stop signal counts", async (api) => {
    const id = await api.create({
      Image: 'layered:v1',
      Entrypoint: ['sh', '-c', 'trap "exit 9" QUIT; echo set; while :; do sleep 0.05; done'],
    });
    await api.post(`/containers/${id}/start`).is(204);
    await api.spoke(id);
    await api.post(`/containers/${id}/stop?t=5`).is(204);
    await api.get(`/containers/${id}/json`).is(200, { State: { ExitCode: 9 } });
  });
  check('kill with a signal by name or number', async (api) => {
    const id = await api.run('trap "exit 3" USR1; trap "exit 4" HUP; echo set; while :; do sleep 0.05; done');
    await api.spoke(id);
    await api.post(`/containers/${id}/kill?signal=USR1`).is(204);
    await api.post(`/containers/${id}/wait`).is(200, { StatusCode: 3 });
    await api.post(`/containers/${id}/start`).is(204);
    await until('it has set its traps again', async () => {
      const { body } = await api.get(`/containers/${id}/logs?stdout=1`).reply();
      return demultiplex(body).stdout === 'set\nset\n';
    });
    await api.post(`/containers/${id}/kill?signal=1`).is(204);
    await api.post(`/containers/${id}/wait`).is(200, { StatusCode: 4 });
  });
  check('kill of a container that does not run is 409', async (api) => {
    const id = await api.create({}, 'still');
    await api
      .post('/containers/still/kill')
      .is(409, { message: new RegExp(`container ${id} is not running`, 'i') });
  });
  check('kill with an unknown signal is 400', async (api) => {
    const id = await api.run('sleep 60');
    await api.post(`/containers/${id}/kill?signal=SIGNOPE`).is(400, { message: /Invalid signal: SIGNOPE/i });
  });
  check('restart starts what stopped and what runs', async (api) => {
    const id = await api.run('sleep 600', { StopSignal: 'SIGKILL' });
    const first = field(await api.get(`/containers/${id}/json`).is(200), 'State', 'Pid');
    await api.post(`/containers/${id}/restart?t=1`).is(204);
    const second = field(
      await api.get(`/containers/${id}/json`).is(200, { State: { Running: true } }),
      'State',
      'Pid',
    );
    assert.notEqual(first, second);
    await api.post(`/containers/${id}/stop?t=0`).is(204);
    await api.post(`/containers/${id}/restart`).is(204);
    await api.get(`/containers/${id}/json`).is(200, { State: { Running: true } });
  });
  check('a container that is started the moment it has ended finds what it wrote', async (api) => {
    const id = await api.run('echo x >> /written; exit $(wc -l < /written)');
    for (const lines of [1, 2, 3, 4]) {
      await api.post(`/containers/${id}/wait`).is(200, { StatusCode: lines });
      await api.post(`/containers/${id}/start`).is(204);
    }
    await api.delete(`/containers/${id}?force=1`).is(204);
  });
  check('pause and unpause', async (api) => {
    const id = await api.run('sleep 600');
    await api.post(`/containers/${id}/pause`).is(204);
    await api
      .get(`/containers/${id}/json`)
      .is(200, { State: { Status: 'paused', Paused: true, Running: true } });
    await api.post(`/containers/${id}/pause`).is(409, { message: `Container ${id} is already paused` });
    await api
      .post(`/containers/${id}/exec`, { Cmd: ['true'] })
      .is(409, { message: /is paused, unpause the container before exec/ });
    await api.post(`/containers/${id}/unpause`).is(204);
    await api.post(`/containers/${id}/unpause`).is([409, 500], { message: `Container ${id} is not paused` });
    await api.get(`/containers/${id}/json`).is(200, { State: { Status: 'running' } });
  });
  check('rename', async (api) => {
    const id = await api.create({}, 'before');
    await api.create({}, 'other');
    await api.post('/containers/before/rename?name=after').is(204);
    await api.get('/containers/before/json').is(404);
    await api.get('/containers/after/json').is(200, { Id: id, Name: '/after' });
    await api
      .post('/containers/after/rename?name=other')
      .is(409, { message: /is already in use by container/ });
    await api
      .post('/containers/after/rename?name=')
      .is(400, { message: /Neither old nor new names may be empty/ });
    await api
      .post('/containers/after/rename?name=after')
      .is([400, 409], { message: /Renaming a container with the same name as its current name/ });
    await api.post('/containers/after/rename?name=_!').is([400, 500], { message: /Invalid container name/ });
  });
  check('remove refuses what runs unless forced', async (api) => {
    const id = await api.run('sleep 600', {}, 'busy');
    await api.delete('/containers/busy').is(409, {
      message: new RegExp(
        `You cannot remove a running container ${id}\\. Stop the container before attempting removal or force remove|cannot remove container "/busy": container is running: stop the container before removing or force remove`,
      ),
    });
    await api.delete('/containers/busy?force=1').is(204);
    await api.get('/containers/busy/json').is(404);
  });
  check('wait: not-running, next-exit, removed', async (api) => {
    const ended = await api.run('exit 5');
    await api.post(`/containers/${ended}/wait`).is(200, { StatusCode: 5 });
    await api.post(`/containers/${ended}/wait?condition=not-running`).is(200, { StatusCode: 5 });
    // Their headers say that they wait.
    const next = await api.raw('POST', `/containers/${ended}/wait?condition=next-exit`);
    await api.post(`/containers/${ended}/start`).is(204);
    await next.has('"StatusCode":5');
    next.close();
    await api.post(`/containers/${ended}/wait`).is(200);
    const removed = await api.raw('POST', `/containers/${ended}/wait?condition=removed`);
    await api.delete(`/containers/${ended}`).is(204);
    await removed.has('"StatusCode":5');
    removed.close();
  });
  check('wait sends its headers at once', async (api) => {
    const id = await api.create({ Cmd: ['true'] });
    const waiting = await api.raw('POST', `/containers/${id}/wait?condition=next-exit`);
    assert.equal(waiting.status, 200);
    await api.post(`/containers/${id}/start`).is(204);
    await waiting.has('"StatusCode":0');
    waiting.close();
  });
  check('wait with an unknown condition is 400', async (api) => {
    const id = await api.create();
    await api
      .post(`/containers/${id}/wait?condition=someday`)
      .is(400, { message: /invalid condition: "someday"/ });
  });
  check('auto-removed containers go, and wait still tells the code', async (api) => {
    const id = await api.create({ Cmd: ['sh', '-c', 'exit 6'], HostConfig: { AutoRemove: true } });
    const waiting = await api.raw('POST', `/containers/${id}/wait?condition=removed`);
    await api.post(`/containers/${id}/start`).is(204);
    await waiting.has('"StatusCode":6');
    waiting.close();
    await until('removal', async () => (await api.get(`/containers/${id}/json`).reply()).status === 404);
  });
  check('a start takes no host configuration, as it did once', async (api) => {
    const id = await api.create({ Cmd: ['true'] });
    const message =
      /starting container with non-empty request body was deprecated since API v1.22 and removed in v1.24/;
    await api.post(`/containers/${id}/start`, { Binds: ['/etc:/mnt'] }).is(400, { message });
    await api.post(`/containers/${id}/start`, {}).is(204);
  });
  check('start of a program that is not there: 400, exit code 127', async (api) => {
    const id = await api.create({ Cmd: ['/no/such/program'] });
    await api.post(`/containers/${id}/start`).is(400, { message: /no such file or directory/i });
    await api
      .get(`/containers/${id}/json`)
      .is(200, { State: { Status: 'created', ExitCode: 127, Error: /no such file/i } });
  });
  check('start of what cannot be executed: 400, exit code 126', async (api) => {
    const id = await api.create({ Cmd: ['/etc/passwd'] });
    await api.post(`/containers/${id}/start`).is(400, { message: /permission denied/i });
    await api.get(`/containers/${id}/json`).is(200, { State: { ExitCode: 126 } });
  });
  check('top lists the processes with titles', async (api) => {
    const id = await api.run('sleep 600; true');
    await until('the shell has started its program', async () => {
      const { body } = await api.get(`/containers/${id}/top`).reply();
      return body.includes('"sleep 600"');
    });
    const titles = ['UID', 'PID', 'PPID', 'C', 'STIME', 'TTY', 'TIME', 'CMD'];
    for (const query of ['', '?ps_args=', '?ps_args=-ef']) {
      await api.get(`/containers/${id}/top${query}`).is(200, {
        Titles: titles,
        Processes: (rows) =>
          Array.isArray(rows) && rows.some((row) => row.at(-1) === 'sh -c sleep 600; true'),
      });
    }
    await api.get(`/containers/${id}/top?ps_args=-o%20pid,comm`).is(200, {
      Titles: ['PID', 'COMMAND'],
      Processes: [
        [/^\d+$/, 'sh'],
        [/^\d+$/, 'sleep'],
      ],
    });
  });
  check('top: what ps cannot do, and of what does not run', async (api) => {
    const id = await api.run('exec sleep 600');
    await api
      .get(`/containers/${id}/top?ps_args=-o%20ppid%3DPID`)
      .is(500, { message: 'specifying "ppid=PID" is not allowed' });
    await api
      .get(`/containers/${id}/top?ps_args=-o%20comm`)
      .is(500, { message: "Couldn't find PID field in ps output" });
    await api
      .get(`/containers/${id}/top?ps_args=--nosuch`)
      .is(500, { message: /^ps: error: unknown gnu long option/ });
    const still = await api.create();
    await api
      .get(`/containers/${still}/top`)
      .is([409, 500], { message: new RegExp(`Container ${still} is not running`, 'i') });
  });
  check('a restart policy restarts', async (api) => {
    const id = await api.run('exit 1', {
      HostConfig: { RestartPolicy: { Name: 'on-failure', MaximumRetryCount: 2 } },
    });
    await until('two restarts', async () => {
      const state = await api.get(`/containers/${id}/json`).is(200);
      return field(state, 'RestartCount') === '2' && field(state, 'State', 'Status') === 'exited';
    });
  });
  check('AutoRemove beside a restart policy is refused', async (api) => {
    await api
      .post('/containers/create', {
        Image: 'busybox',
        HostConfig: { AutoRemove: true, RestartPolicy: { Name: 'always' } },
      })
      .is(400, { message: /can't create 'AutoRemove' container with restart policy/i });
  });
  check('prune removes the stopped ones', async (api) => {
    const id = await api.create();
    const running = await api.run('sleep 600');
    await api.post('/containers/prune').is(200, { ContainersDeleted: [id] });
    await api.get(`/containers/${running}/json`).is(200);
    await api.post('/containers/prune').is(200, { ContainersDeleted: null, SpaceReclaimed: 0 });
  });
});

onEveryEngine('container list', ({ check }) => {
  check('shape of an entry', async (api) => {
    const id = await api.run('sleep 600', { Labels: { a: 'b' } }, 'listed');
    await api.get('/containers/json').is(200, [
      {
        Id: id,
        Names: ['/listed'],
        Image: 'busybox',
        ImageID: /^sha256:[0-9a-f]{64}$/,
        Command: "sh -c 'sleep 600'",
        Created: (value) => Number.isInteger(value),
        Ports: [],
        Labels: { a: 'b' },
        State: 'running',
        Status: /^Up (Less than a second|\d+ seconds?)$/,
        HostConfig: { NetworkMode: /^(default|bridge)$/ },
        NetworkSettings: { Networks: { bridge: { IPAddress: /^10\./, Gateway: /^10\./, IPPrefixLen: 24 } } },
        Mounts: [],
      },
    ]);
  });
  check('only the running ones unless all', async (api) => {
    const still = await api.create({}, 'still');
    const runs = await api.run('sleep 600', {}, 'runs');
    await api.get('/containers/json').is(200, [{ Id: runs }]);
    await api
      .get('/containers/json?all=1')
      .is(200, [{ Id: runs }, { Id: still, State: 'created', Status: 'Created' }]);
    await api.get('/containers/json?all=true&limit=1').is(200, [{ Id: runs }]);
    await api.get('/containers/json?limit=1').is(200, [{ Id: runs }]);
    await api
      .get('/containers/json?size=1')
      .is(200, [{ Id: runs, SizeRootFs: (size) => Number(size) > 1e6 }]);
  });
  const filter = (filters: Record<string, string[]>): string =>
    `/containers/json?all=1&filters=${encodeURIComponent(JSON.stringify(filters))}`;
  check('filters', async (api) => {
    const one = await api.run('exit 3', { Labels: { k: 'v', only: '' } }, 'one');
    await api.post('/containers/one/wait').is(200);
    const two = await api.run('sleep 600', { Labels: { k: 'w' }, ExposedPorts: { '81/tcp': {} } }, 'two');
    await api.get(filter({ name: ['one'] })).is(200, [{ Id: one }]);
    await api.get(filter({ name: ['^/?t.o$'] })).is(200, [{ Id: two }]);
    await api.get(filter({ id: [two.slice(0, 10)] })).is(200, [{ Id: two }]);
    await api.get(filter({ status: ['exited'] })).is(200, [{ Id: one }]);
    await api.get(filter({ status: ['exited', 'running'] })).is(200, [{ Id: two }, { Id: one }]);
    await api.get(filter({ exited: ['3'] })).is(200, [{ Id: one }]);
    await api.get(filter({ label: ['k'] })).is(200, [{ Id: two }, { Id: one }]);
    await api.get(filter({ label: ['k=v'] })).is(200, [{ Id: one }]);
    await api.get(filter({ label: ['k=v', 'only'] })).is(200, [{ Id: one }]);
    await api.get(filter({ ancestor: ['busybox'] })).is(200, [{ Id: two }, { Id: one }]);
    await api.get(filter({ ancestor: ['layered:v1'] })).is(200, []);
    await api.get(filter({ before: ['two'] })).is(200, [{ Id: one }]);
    await api.get(filter({ since: ['one'] })).is(200, [{ Id: two }]);
    await api.get(filter({ network: ['bridge'], name: ['two'] })).is(200, [{ Id: two }]);
    await api.get(filter({ expose: ['81'] })).is(200, [{ Id: two }]);
    await api.get(filter({ volume: ['none'] })).is(200, []);
  });
  check('bad filters are 400', async (api) => {
    await api
      .get(filter({ status: ['sleepy'] }))
      .is(400, { message: /invalid filter 'status|Unrecognised filter value for status: sleepy/i });
    await api.get(filter({ nosuch: ['x'] })).is(400, { message: /invalid filter 'nosuch'/i });
    await api.get('/containers/json?filters=%7Bnot').is([400, 500]);
    await api.get(filter({ before: ['nope'] })).is([404, 500], { message: /no such container:? nope/i });
  });
  check('the older form of filters (a map of booleans) works', async (api) => {
    const id = await api.create({}, 'oldform');
    const filters = encodeURIComponent('{"name":{"oldform":true}}');
    await api.get(`/containers/json?all=1&filters=${filters}`).is(200, [{ Id: id }]);
  });
});
