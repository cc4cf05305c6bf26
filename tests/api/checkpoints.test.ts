import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { criuWorks, pathWithCriu } from '../criu.ts';
import { type Daemon, until } from '../daemons.ts';
import { type Api, demultiplex, field } from './client.ts';
import { onEveryEngine } from './engines.ts';

const COUNT = 'i=0; while :; do echo $i; i=$((i+1)); sleep 0.05; done';

async function lines(api: Api, id: string): Promise<number[]> {
  const reply = await api.get(`/containers/${id}/logs?stdout=1`).reply();
  return demultiplex(reply.body).stdout.trimEnd().split('\n').filter(Boolean).map(Number);
}

async function counted(api: Api, id: string, atLeast: number): Promise<void> {
  await until(`a count of ${atLeast}`, async () => ((await lines(api, id)).at(-1) ?? -1) >= atLeast);
}

/** No number is missing or doubled, whatever came between. */
async function assertWhole(api: Api, id: string): Promise<void> {
  const all = await lines(api, id);
  assert.deepEqual(
    all,
    all.map((_, index) => index),
  );
}

/** crun comes without CRIU in some distributions. */
const options = {
  flags: ['--experimental', '--default-runtime=runc'],
  environment: { PATH: pathWithCriu() },
};

onEveryEngine(
  'checkpoints',
  ({ check }) => {
    check('none, names that cannot be, what is not there', async (api) => {
      const id = await api.create({}, 'still');
      await api.get(`/containers/${id}/checkpoints`).is(200, null);
      await api.get('/containers/nope/checkpoints').is(404, { message: 'No such container: nope' });
      await api.post('/containers/nope/checkpoints', { CheckpointID: 'one' }).is(404);
      await api
        .post('/containers/still/checkpoints', { CheckpointID: 'one' })
        .is([409, 500], { message: /ontainer \S+ (is )?not running/ });
      await api
        .delete('/containers/still/checkpoints/nope')
        .is(500, { message: 'checkpoint nope does not exist for container still' });
      await api
        .post('/containers/still/start?checkpoint=nope')
        .is(500, { message: 'checkpoint nope does not exist for container /still' });
      await api.get('/containers/still/json').is(200, { State: { Status: 'created' } });
      await api.run(COUNT, {}, 'running');
      await api.post('/containers/running/checkpoints', { CheckpointID: '../up' }).is([400, 500], {
        message: 'Invalid checkpoint ID (../up), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed',
      });
      await api.post('/containers/running/start?checkpoint=nope').is(304);
    });

    check('the daemon says that it is experimental, as it was told to', async (api) => {
      await api.get('/_ping').headers(200, { 'docker-experimental': 'true' });
      await api.get('/info').is(200, { ExperimentalBuild: true });
      await api.get('/version').is(200, { Experimental: true });
    });
  },
  undefined,
  options,
);

const WORKS = criuWorks();

if (!WORKS) {
  onEveryEngine(
    'checkpoints where CRIU cannot',
    ({ check }) => {
      check('the reason is told, and the container runs on', async (api) => {
        const id = await api.run(COUNT, {}, 'counter');
        await counted(api, id, 2);
        await api
          .post('/containers/counter/checkpoints', { CheckpointID: 'one', Exit: true })
          .is(500, { message: /^Cannot checkpoint container counter: .*criu/ });
        await api.get(`/containers/${id}/json`).is(200, { State: { Running: true } });
        await api.get(`/containers/${id}/checkpoints`).is(200, null);
        await counted(api, id, ((await lines(api, id)).at(-1) ?? 0) + 3);
        await assertWhole(api, id);
      });
    },
    undefined,
    options,
  );
}

onEveryEngine(
  'checkpoints of what runs',
  ({ check }) => {
    check('a counter goes on counting where it was, with its address', async (api) => {
      const id = await api.run(COUNT, { Hostname: 'boxy' }, 'counter');
      await counted(api, id, 5);
      const address = async (): Promise<string> =>
        field(
          await api.get(`/containers/${id}/json`).is(200),
          'NetworkSettings',
          'Networks',
          'bridge',
          'IPAddress',
        );
      const before = await address();
      const events = await api.raw('GET', '/events?filters={"type":["container"]}');
      await api.post(`/containers/${id}/checkpoints`, { CheckpointID: 'one', Exit: true }).is(201);
      await until('its end', async () => {
        const { State } = (await api.get(`/containers/${id}/json`).is(200)) as {
          State: { Status: string };
        };
        return State.Status === 'exited';
      });
      await events.has('"checkpoint"');
      events.close();
      await api.get(`/containers/${id}/checkpoints`).is(200, [{ Name: 'one' }]);
      const other = await api.run('exec sleep 60');
      await api.post(`/containers/${id}/start?checkpoint=one`).is(204);
      await api.get(`/containers/${id}/json`).is(200, { State: { Running: true, ExitCode: 0 } });
      await counted(api, id, ((await lines(api, id)).at(-1) ?? 0) + 5);
      await assertWhole(api, id);
      assert.notEqual(await address(), '');
      await api.delete(`/containers/${other}?force=1`).is(204);
      await api.post(`/containers/${id}/stop?t=0`).is(204);
      await api.post(`/containers/${id}/start?checkpoint=one`).is(204);
      assert.equal(await address(), before);
      const exec = await api
        .post(`/containers/${id}/exec`, { Cmd: ['hostname'], AttachStdout: true })
        .is(201);
      const { body } = await api.post(`/exec/${field(exec, 'Id')}/start`, {}).reply();
      assert.equal(demultiplex(body).stdout, 'boxy\n');
    });

    check('left running it runs on, and can go back to then', async (api) => {
      const id = await api.run(COUNT, {}, 'left');
      await counted(api, id, 3);
      await api.post(`/containers/${id}/checkpoints`, { CheckpointID: 'one' }).is(201);
      await api.post(`/containers/${id}/checkpoints`, { CheckpointID: 'one' }).is(500, {
        message: `cannot checkpoint container ${id}: checkpoint with name one already exists for container ${id}`,
      });
      const then = (await lines(api, id)).at(-1) ?? 0;
      await counted(api, id, then + 5);
      await assertWhole(api, id);
      await api.post(`/containers/${id}/stop?t=0`).is(204);
      await api.post(`/containers/${id}/start?checkpoint=one`).is(204);
      const now = (await lines(api, id)).length;
      await until('more', async () => (await lines(api, id)).length > now + 1);
      const repeated = (await lines(api, id)).some(
        (value, index, all) => index > 0 && value < (all[index - 1] ?? 0),
      );
      assert.ok(repeated, 'it counts again from where it was');
      await api.delete(`/containers/${id}/checkpoints/one`).is(204);
      await api.get(`/containers/${id}/checkpoints`).is(200, null);
    });

    check('kept elsewhere when asked', async (api) => {
      const directory = mkdtempSync(path.join(tmpdir(), 'checkpoints-'));
      try {
        const id = await api.run(COUNT);
        await counted(api, id, 2);
        const body = { CheckpointID: 'one', CheckpointDir: directory, Exit: true };
        await api.post(`/containers/${id}/checkpoints`, body).is(201);
        assert.deepEqual(readdirSync(directory), ['one']);
        await api.get(`/containers/${id}/checkpoints?dir=${directory}`).is(200, [{ Name: 'one' }]);
        await api.get(`/containers/${id}/checkpoints`).is(200, null);
        await api.delete(`/containers/${id}/checkpoints/one?dir=${directory}`).is(204);
        assert.deepEqual(readdirSync(directory), []);
      } finally {
        rmSync(directory, { recursive: true, force: true });
      }
    });
  },
  WORKS ? undefined : ['vm'],
  options,
);

onEveryEngine(
  'checkpoints in Hull',
  ({ check }) => {
    check('a terminal and open stdin are joined again', async (api) => {
      const line = 'i=0; while read x; do echo "got $x $i"; i=$((i+1)); done';
      const body = { Cmd: ['sh', '-c', line], Tty: true, OpenStdin: true };
      const id = await api.create(body);
      await api.post(`/containers/${id}/start`).is(204);
      const say = async (word: string, answer: string): Promise<void> => {
        const query = 'stream=1&stdin=1&stdout=1';
        const stream = await api.raw('POST', `/containers/${id}/attach?${query}`, { upgrade: true });
        stream.write(`${word}\n`);
        await stream.has(answer);
        stream.close();
      };
      await say('one', 'got one 0');
      await api.post(`/containers/${id}/checkpoints`, { CheckpointID: 'one', Exit: true }).is(201);
      await api.post(`/containers/${id}/start?checkpoint=one`).is(204);
      await say('two', 'got two 1');
    });

    check('a server is there again on its port, where CRIU knows the sockets of the kernel', async (api) => {
      const ports = { '80/tcp': [{ HostIp: '127.0.0.1', HostPort: '' }] };
      const line = 'mkdir /www; echo served > /www/index.html; echo up; exec httpd -f -h /www';
      const id = await api.run(line, {
        ExposedPorts: { '80/tcp': {} },
        HostConfig: { PortBindings: ports },
      });
      const page = async (): Promise<string> => {
        const container = await api.get(`/containers/${id}/json`).is(200);
        const port = field(container, 'NetworkSettings', 'Ports', '80/tcp', 0, 'HostPort');
        return (await fetch(`http://127.0.0.1:${port}/`)).text();
      };
      await until('a page', async () => (await page().catch(() => '')) === 'served\n');
      const { status, body } = await api
        .post(`/containers/${id}/checkpoints`, { CheckpointID: 'one', Exit: true })
        .reply();
      if (status === 201) await api.post(`/containers/${id}/start?checkpoint=one`).is(204);
      else assert.match(body.toString(), /^\{"message":"Cannot checkpoint container \S+: .*criu/);
      await until('the page again', async () => (await page().catch(() => '')) === 'served\n');
    });

    check('it outlives a daemon that is killed, and goes with its container', async (api, daemon) => {
      const id = await api.run(COUNT, {}, 'kept');
      await counted(api, id, 3);
      await api.post(`/containers/${id}/checkpoints`, { CheckpointID: 'one', Exit: true }).is(201);
      await again(daemon);
      await api.get(`/containers/${id}/checkpoints`).is(200, [{ Name: 'one' }]);
      await api.post(`/containers/${id}/start?checkpoint=one`).is(204);
      await again(daemon);
      await counted(api, id, ((await lines(api, id)).at(-1) ?? 0) + 3);
      await assertWhole(api, id);
      await api.delete(`/containers/${id}?force=1`).is(204);
      assert.deepEqual(readdirSync(path.join(daemon.dataRoot, 'containers')), []);
    });

    check('a restart policy leaves it alone; a paused one is refused', async (api) => {
      const id = await api.run(COUNT, {
        HostConfig: { RestartPolicy: { Name: 'always' } },
      });
      await api.post(`/containers/${id}/pause`).is(204);
      await api
        .post(`/containers/${id}/checkpoints`, { CheckpointID: 'one' })
        .is(409, { message: /is paused/ });
      await api.post(`/containers/${id}/unpause`).is(204);
      await api.post(`/containers/${id}/checkpoints`, { CheckpointID: 'one', Exit: true }).is(201);
      await api.get(`/containers/${id}/json`).is(200, { State: { Status: 'exited', ExitCode: 137 } });
    });

    check('what CRIU does not take is told, and the container runs on', async (api) => {
      const id = await api.run('exec 5<>/dev/fuse; echo $?; exec sleep 60', {
        HostConfig: {
          Devices: [{ PathOnHost: '/dev/fuse', PathInContainer: '/dev/fuse', CgroupPermissions: 'rwm' }],
        },
      });
      await until('the device is open', async () => (await lines(api, id)).length > 0);
      await api
        .post(`/containers/${id}/checkpoints`, { CheckpointID: 'one', Exit: true })
        .is(500, { message: /^Cannot checkpoint container \S+: criu: / });
      await api.get(`/containers/${id}/json`).is(200, { State: { Running: true } });
      await api.get(`/containers/${id}/checkpoints`).is(200, null);
    });
  },
  WORKS ? ['hull', 'vm'] : ['vm'],
  options,
);

async function again(daemon: Daemon): Promise<void> {
  await daemon.kill();
  await daemon.start();
}
