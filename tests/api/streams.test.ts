import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';

import { sleep, until } from '../daemons.ts';
import { demultiplex, field, type Api } from './client.ts';
import { onEveryEngine } from './engines.ts';

async function finished(api: Api, line: string, body: Record<string, unknown> = {}): Promise<string> {
  const id = await api.run(line, body);
  await api.post(`/containers/${id}/wait`).is(200);
  return id;
}

async function logs(api: Api, id: string, query: string): Promise<{ stdout: string; stderr: string }> {
  const reply = await api.get(`/containers/${id}/logs?${query}`).reply();
  assert.equal(reply.status, 200, reply.body.toString());
  return demultiplex(reply.body);
}

/** A shell line that ends when its container is told to go on. */
const ONCE_TOLD = 'until [ -e /told ]; do sleep 0.05; done';

async function tell(api: Api, id: string): Promise<void> {
  const { Id: exec } = (await api.post(`/containers/${id}/exec`, { Cmd: ['touch', '/told'] }).is(201)) as {
    Id: string;
  };
  await api.post(`/exec/${exec}/start`, { Detach: true }).is(200);
}

onEveryEngine('logs', ({ check }) => {
  check('stdout and stderr apart', async (api) => {
    const id = await finished(api, 'echo out; echo err >&2; printf tail');
    assert.deepEqual(await logs(api, id, 'stdout=1&stderr=1'), { stdout: 'out\ntail', stderr: 'err\n' });
    assert.deepEqual(await logs(api, id, 'stdout=1'), { stdout: 'out\ntail', stderr: '' });
    assert.deepEqual(await logs(api, id, 'stderr=1'), { stdout: '', stderr: 'err\n' });
  });
  check('neither stream is 400', async (api) => {
    const id = await api.create();
    await api
      .get(`/containers/${id}/logs`)
      .is(400, { message: 'Bad parameters: you must choose at least one stream' });
  });
  check('tail', async (api) => {
    const id = await finished(api, 'for i in 1 2 3 4 5; do echo $i; done');
    assert.equal((await logs(api, id, 'stdout=1&tail=2')).stdout, '4\n5\n');
    assert.equal((await logs(api, id, 'stdout=1&tail=all')).stdout, '1\n2\n3\n4\n5\n');
    assert.equal((await logs(api, id, 'stdout=1&tail=0')).stdout, '');
    assert.equal((await logs(api, id, 'stdout=1&tail=99')).stdout, '1\n2\n3\n4\n5\n');
  });
  check('timestamps, since and until', async (api) => {
    const id = await finished(api, 'echo one; sleep 1.2; echo two');
    const stamped = (await logs(api, id, 'stdout=1&timestamps=1')).stdout;
    assert.match(stamped, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z one\n\d{4}.*Z two\n$/);
    const second = stamped.split('\n')[1]?.split(' ')[0] ?? '';
    const at = Date.parse(second) / 1000;
    assert.equal((await logs(api, id, `stdout=1&since=${at - 0.5}`)).stdout, 'two\n');
    assert.equal((await logs(api, id, `stdout=1&until=${at - 0.5}`)).stdout, 'one\n');
    assert.equal((await logs(api, id, `stdout=1&since=${Math.floor(at) + 100}`)).stdout, '');
  });
  check('details show the attributes', async (api) => {
    const id = await finished(api, 'echo hello', {
      Env: ['SHOWN=1'],
      Labels: { seen: 'yes' },
      HostConfig: { LogConfig: { Type: 'json-file', Config: { env: 'SHOWN', labels: 'seen' } } },
    });
    assert.match(
      (await logs(api, id, 'stdout=1&details=1')).stdout,
      /^(SHOWN=1,seen=yes|seen=yes,SHOWN=1) hello\n$/,
    );
  });
  check('follow shows what comes and ends with the container', async (api) => {
    const id = await api.run('for i in 1 2 3; do echo line $i; sleep 0.3; done');
    const reply = await api.get(`/containers/${id}/logs?stdout=1&follow=1`).reply();
    assert.equal(demultiplex(reply.body).stdout, 'line 1\nline 2\nline 3\n');
  });
  check('follow with tail=0 shows only the new', async (api) => {
    const id = await api.run(`echo old; ${ONCE_TOLD}; echo new`);
    await api.spoke(id);
    const stream = await api.raw('GET', `/containers/${id}/logs?stdout=1&follow=1&tail=0`);
    await tell(api, id);
    await stream.has('new\n');
    assert.doesNotMatch(stream.text, /old/);
    stream.close();
  });
  check('a terminal has one stream without headers, lines ending in CR LF', async (api) => {
    const id = await finished(api, 'echo out; echo err >&2', { Tty: true });
    const reply = await api.get(`/containers/${id}/logs?stdout=1&stderr=1`).reply();
    assert.equal(reply.body.toString(), 'out\r\nerr\r\n');
  });
  check(
    'the stream types say which of the two it is (API 1.42 and later name it; older clients get raw-stream or none)',
    async (api) => {
      const id = await finished(api, 'echo x');
      const reply = await api.get(`/containers/${id}/logs?stdout=1`).reply();
      assert.ok(
        [undefined, 'application/octet-stream', 'application/vnd.docker.raw-stream'].includes(
          reply.headers['content-type'],
        ),
      );
    },
  );
  check('a line longer than the log chunk (16 KiB) comes back whole', async (api) => {
    const id = await finished(api, 'head -c 100000 /dev/zero | tr "\\0" x; echo; echo end');
    const { stdout } = await logs(api, id, 'stdout=1');
    assert.equal(stdout, `${'x'.repeat(100_000)}\nend\n`);
  });
  check('a thousand lines come back in order', async (api) => {
    const id = await finished(api, 'seq 1 1000');
    const { stdout } = await logs(api, id, 'stdout=1');
    assert.deepEqual(
      stdout.trim().split('\n').map(Number),
      Array.from({ length: 1000 }, (_, index) => index + 1),
    );
  });
  check('rotation keeps the newest within max-size and max-file', async (api) => {
    const id = await finished(api, 'seq 1 2000', {
      HostConfig: { LogConfig: { Type: 'json-file', Config: { 'max-size': '20k', 'max-file': '2' } } },
    });
    const lines = (await logs(api, id, 'stdout=1')).stdout.trim().split('\n').map(Number);
    assert.equal(lines.at(-1), 2000);
    assert.ok(lines.length < 1500, `kept ${lines.length} lines`);
    assert.deepEqual(
      lines,
      Array.from({ length: lines.length }, (_, index) => 2001 - lines.length + index),
    );
  });
  check('the driver "none" keeps nothing to read', async (api) => {
    const id = await finished(api, 'echo x', { HostConfig: { LogConfig: { Type: 'none' } } });
    await api
      .get(`/containers/${id}/logs?stdout=1`)
      .is(501, { message: /configured logging driver does not support reading/ });
  });
});

onEveryEngine('attach', ({ check }) => {
  const INTERACTIVE = {
    OpenStdin: true,
    StdinOnce: true,
    AttachStdin: true,
    AttachStdout: true,
    AttachStderr: true,
  };
  const ALL = 'stream=1&stdin=1&stdout=1&stderr=1';

  for (const upgrade of [true, false]) {
    const status = upgrade ? 101 : 200;
    check(`answers ${status} and multiplexes`, async (api) => {
      const id = await api.create({ Cmd: ['sh', '-c', 'echo out; echo err >&2'], AttachStdout: true });
      const stream = await api.raw('POST', `/containers/${id}/attach?${ALL}`, { upgrade });
      assert.equal(stream.status, status);
      assert.equal(stream.headers['content-type'], 'application/vnd.docker.raw-stream');
      if (upgrade) assert.deepEqual([stream.headers.connection, stream.headers.upgrade], ['Upgrade', 'tcp']);
      await api.post(`/containers/${id}/start`).is(204);
      assert.deepEqual(demultiplex(await stream.end()), { stdout: 'out\n', stderr: 'err\n' });
    });
  }
  check('half-close ends the input, not the output', async (api) => {
    const id = await api.create({ Cmd: ['sh', '-c', 'cat; echo after; exit 3'], ...INTERACTIVE });
    const stream = await api.raw('POST', `/containers/${id}/attach?${ALL}`, { upgrade: true });
    await api.post(`/containers/${id}/start`).is(204);
    stream.write('hello\n');
    stream.halfClose();
    assert.deepEqual(demultiplex(await stream.end()), { stdout: 'hello\nafter\n', stderr: '' });
    await api.post(`/containers/${id}/wait`).is(200, { StatusCode: 3 });
  });
  check('input that ends before the start has ended after it', async (api) => {
    const id = await api.create({ Cmd: ['sh', '-c', 'cat; echo after'], ...INTERACTIVE });
    const stream = await api.raw('POST', `/containers/${id}/attach?${ALL}`, { upgrade: true });
    stream.halfClose();
    await sleep(200);
    await api.post(`/containers/${id}/start`).is(204);
    assert.equal(demultiplex(await stream.end()).stdout, 'after\n');
  });
  check('a megabyte goes in and comes out unharmed', async (api) => {
    const id = await api.create({ Cmd: ['cat'], ...INTERACTIVE });
    const stream = await api.raw('POST', `/containers/${id}/attach?${ALL}`, { upgrade: true });
    await api.post(`/containers/${id}/start`).is(204);
    const data = 'abcdefghijklmno\n'.repeat(65_536);
    stream.write(data);
    stream.halfClose();
    assert.ok(demultiplex(await stream.end()).stdout === data, 'the same bytes');
  });
  check('a terminal: raw bytes, echo, and the size from resize', async (api) => {
    const id = await api.create({ Cmd: ['sh'], Tty: true, ...INTERACTIVE });
    const stream = await api.raw('POST', `/containers/${id}/attach?${ALL}`, { upgrade: true });
    await api.post(`/containers/${id}/start`).is(204);
    await api.post(`/containers/${id}/resize?h=33&w=111`).is(200);
    stream.write('stty size; tty\n');
    await stream.has('33 111');
    await stream.has('/dev/pts/0');
    stream.write('exit 4\n');
    await stream.end();
    await api.post(`/containers/${id}/wait`).is(200, { StatusCode: 4 });
  });
  check('logs=1 replays first', async (api) => {
    const id = await api.run(`echo before; ${ONCE_TOLD}; echo after`);
    await api.spoke(id);
    const stream = await api.raw('POST', `/containers/${id}/attach?logs=1&stream=1&stdout=1`, {
      upgrade: true,
    });
    await tell(api, id);
    assert.equal(demultiplex(await stream.end()).stdout, 'before\nafter\n');
  });
  check('two clients see the same output', async (api) => {
    const id = await api.create({ Cmd: ['sh', '-c', 'echo both'] });
    const first = await api.raw('POST', `/containers/${id}/attach?stream=1&stdout=1`, { upgrade: true });
    const second = await api.raw('POST', `/containers/${id}/attach?stream=1&stdout=1`, { upgrade: true });
    await api.post(`/containers/${id}/start`).is(204);
    assert.equal(demultiplex(await first.end()).stdout, 'both\n');
    assert.equal(demultiplex(await second.end()).stdout, 'both\n');
  });
  check('the detach keys leave the container running', async (api) => {
    const id = await api.create({ Cmd: ['cat'], Tty: true, ...INTERACTIVE, StdinOnce: false });
    const stream = await api.raw('POST', `/containers/${id}/attach?${ALL}&detachKeys=ctrl-x,x`, {
      upgrade: true,
    });
    await api.post(`/containers/${id}/start`).is(204);
    stream.write('hi\n');
    await stream.has('hi');
    stream.write('\u0018x');
    await stream.end();
    await api.get(`/containers/${id}/json`).is(200, { State: { Running: true } });
  });
  check('a client that goes away does not end the container', async (api) => {
    const id = await api.create({ Cmd: ['sh', '-c', `${ONCE_TOLD}; echo still; sleep 600`] });
    const stream = await api.raw('POST', `/containers/${id}/attach?stream=1&stdout=1`, { upgrade: true });
    await api.post(`/containers/${id}/start`).is(204);
    stream.close();
    await tell(api, id);
    await api.spoke(id);
    await api.get(`/containers/${id}/json`).is(200, { State: { Running: true } });
    assert.equal((await logs(api, id, 'stdout=1')).stdout, 'still\n');
  });
  check('resize of what does not run is 409', async (api) => {
    const id = await api.create({ Tty: true });
    await api.post(`/containers/${id}/resize?h=10&w=10`).is(409, { message: /is not running/ });
    await api.post(`/containers/${id}/resize?h=x&w=10`).is(400);
  });
});

onEveryEngine('exec', ({ check }) => {
  const exec = async (api: Api, id: string, body: Record<string, unknown>): Promise<string> =>
    field(
      await api.post(`/containers/${id}/exec`, { AttachStdout: true, AttachStderr: true, ...body }).is(201),
      'Id',
    );

  for (const upgrade of [true, false]) {
    const status = upgrade ? 101 : 200;
    check(`answers ${status}, multiplexes, and inspect tells the code`, async (api) => {
      const id = await api.run('sleep 600');
      const execId = await exec(api, id, { Cmd: ['sh', '-c', 'echo out; echo err >&2; exit 5'] });
      const stream = await api.raw('POST', `/exec/${execId}/start`, {
        body: { Detach: false, Tty: false },
        upgrade,
      });
      assert.equal(stream.status, status);
      assert.deepEqual(demultiplex(await stream.end()), { stdout: 'out\n', stderr: 'err\n' });
      await api.get(`/exec/${execId}/json`).is(200, {
        ID: execId,
        ContainerID: id,
        Running: false,
        ExitCode: 5,
        OpenStdin: false,
        OpenStdout: true,
        OpenStderr: true,
        ProcessConfig: { entrypoint: 'sh', arguments: ['-c', 'echo out; echo err >&2; exit 5'], tty: false },
      });
    });
  }
  check('stdin with half-close', async (api) => {
    const id = await api.run('sleep 600');
    const execId = await exec(api, id, { Cmd: ['sh', '-c', 'cat; echo done'], AttachStdin: true });
    const stream = await api.raw('POST', `/exec/${execId}/start`, { body: {}, upgrade: true });
    stream.write('in\n');
    stream.halfClose();
    assert.equal(demultiplex(await stream.end()).stdout, 'in\ndone\n');
  });
  check('a terminal with its first size and a resize', async (api) => {
    const id = await api.run('sleep 600');
    const execId = await exec(api, id, { Cmd: ['sh'], AttachStdin: true, Tty: true });
    const stream = await api.raw('POST', `/exec/${execId}/start`, { body: { Tty: true }, upgrade: true });
    await stream.has(/[#$] /);
    await api.post(`/exec/${execId}/resize?h=22&w=99`).is([200, 201]);
    stream.write('stty size\n');
    await stream.has('22 99');
    stream.write('exit 2\n');
    await stream.end();
    await api.get(`/exec/${execId}/json`).is(200, { ExitCode: 2, ProcessConfig: { tty: true } });
  });
  check('detached', async (api) => {
    const id = await api.run('sleep 600');
    const execId = await exec(api, id, { Cmd: ['sh', '-c', `${ONCE_TOLD}; exit 8`] });
    await api.post(`/exec/${execId}/start`, { Detach: true }).is(200);
    await api
      .get(`/exec/${execId}/json`)
      .is(200, { Running: true, ExitCode: null, Pid: (pid) => Number(pid) > 0 });
    await tell(api, id);
    await until('it has ended', async () => {
      const { Running: running } = (await api.get(`/exec/${execId}/json`).is(200)) as { Running: boolean };
      return !running;
    });
    await api.get(`/exec/${execId}/json`).is(200, { Running: false, ExitCode: 8 });
  });
  check('user, directory and environment', async (api) => {
    const id = await api.run('sleep 600');
    const execId = await exec(api, id, {
      Cmd: ['sh', '-c', 'id -un; pwd; echo $MARK $HOME'],
      User: 'alice',
      WorkingDir: '/tmp',
      Env: ['MARK=m'],
    });
    const stream = await api.raw('POST', `/exec/${execId}/start`, { body: {}, upgrade: true });
    assert.equal(demultiplex(await stream.end()).stdout, 'alice\n/tmp\nm /home/alice\n');
  });
  check('answers before it runs, so that no output comes in one piece with the headers', async (api) => {
    const id = await api.run('sleep 600');
    // Clocks tick in hundredths of a second, and this test may be slow to look: once in ten is proof.
    let lead = -1;
    for (let tries = 0; tries < 10 && lead <= 0; tries++) {
      const execId = await exec(api, id, { Cmd: ['cat', '/proc/self/stat'] });
      const stream = await api.raw('POST', `/exec/${execId}/start`, { body: {}, upgrade: true });
      const answered = Math.floor(Number(readFileSync('/proc/uptime', 'utf8').split(' ')[0]) * 100);
      const { stdout } = demultiplex(await stream.end());
      const started = Number(stdout.slice(stdout.lastIndexOf(')')).split(' ')[20]);
      lead = started - answered;
    }
    assert.ok(lead > 0, `answered ${-lead} hundredths of a second after the start`);
  });
  check('a program that is not there is told in the output and has exit code 127', async (api) => {
    const id = await api.run('sleep 600');
    const execId = await exec(api, id, { Cmd: ['/no/such'] });
    const reply = await api.post(`/exec/${execId}/start`, {}).reply();
    assert.equal(reply.status, 200);
    assert.match(reply.body.toString(), /OCI runtime exec failed: .*no such file or directory/);
    await api.get(`/exec/${execId}/json`).is(200, { ExitCode: (code) => code === 127 || code === 126 });
  });
  check('refusals', async (api) => {
    const still = await api.create({}, 'stillhere');
    await api
      .post('/containers/stillhere/exec', { Cmd: ['true'] })
      .is(409, { message: new RegExp(`^Container ${still} is not running$`, 'i') });
    const id = await api.run('sleep 600');
    await api.post(`/containers/${id}/exec`, {}).is(400, { message: /No exec command specified/ });
    await api.get('/exec/nope/json').is(404, { message: 'No such exec instance: nope' });
    await api.post('/exec/nope/start', {}).is(404, { message: /No such exec instance: nope/ });
    await api.post('/exec/nope/resize?h=1&w=1').is(404, { message: 'No such exec instance: nope' });
    const execId = await exec(api, id, { Cmd: ['true'] });
    await api.post(`/exec/${execId}/start`, { Detach: true }).is(200);
    await sleep(300);
    await api.post(`/exec/${execId}/start`, { Detach: true }).is(409, {
      message: new RegExp(
        `exec command ${execId} has already run|Exec command ${execId} is already running`,
        'i',
      ),
    });
  });
  check('the container lists its execs while they run', async (api) => {
    const id = await api.run('sleep 600');
    const execId = await exec(api, id, { Cmd: ['sleep', '600'] });
    await api.post(`/exec/${execId}/start`, { Detach: true }).is(200);
    await api.get(`/containers/${id}/json`).is(200, { ExecIDs: [execId] });
  });
});
