import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, suite, test } from 'node:test';

import { mountTmpfs, unmount } from '#/host/mounts.ts';
import { type Api, demultiplex, field } from '../api/client.ts';
import { type Daemon, until } from '../daemons.ts';
import { assertNoLeaks, hostSnapshot } from '../leaks.ts';
import { processesOf, startVmDaemon, vm } from './vm-daemon.ts';

/** A number in memory, which goes on. */
const COUNT = 'i=0; while :; do echo $i; i=$((i+1)); sleep 0.05; done';
/** Longer than a restored guest's clock may be behind on a busy host, much shorter than it would be if nobody set it. */
const CLOCK_SECONDS = 20;

suite('checkpoints of microVMs', { timeout: 600_000 }, () => {
  const snapshot = hostSnapshot();
  let daemon: Daemon;
  let api: Api;

  before(async () => {
    ({ daemon, api } = await startVmDaemon());
    // The first guest boots, the others go on from where it was saved.
    await api.output('true', vm());
  });
  after(async () => {
    await daemon[Symbol.asyncDispose]();
    await assertNoLeaks(snapshot, [daemon.directory]);
  });

  test('memory, tmpfs and disk are those of the moment, as often as it is started; the clock and randomness are not', async () => {
    const line = `echo old > /file; echo old > /mem/file; ${COUNT}`;
    const id = await api.run(line, { Hostname: 'boxy', ...vm({ Tmpfs: { '/mem': '' } }) });
    await counts(api, id);
    await checkpoint(api, id, { CheckpointID: 'one' });
    await counts(api, id);
    const directory = path.join(daemon.dataRoot, 'containers', id, 'checkpoints', 'one');
    for (const file of [directory, ...readdirSync(directory).map((name) => path.join(directory, name))])
      assert.equal(statSync(file).mode & 0o077, 0, file);
    const seen = new Set<string>();
    for (let round = 0; round < 2; round++) {
      await said(api, id, 'echo new > /file; rm /mem/file; sync');
      await api.post(`/containers/${id}/stop?t=0`).is(204);
      const before = (await numbers(api, id)).length;
      await api.post(`/containers/${id}/start?checkpoint=one`).is(204);
      await counts(api, id);
      const all = await numbers(api, id);
      assert.ok((all[before] ?? 0) > 0, 'it does not begin anew');
      assert.equal(await said(api, id, 'cat /file /mem/file; hostname'), 'old\nold\nboxy\n');
      const began = Number(await said(api, id, 'date +%s'));
      assert.ok(Math.abs(Date.now() / 1000 - began) < CLOCK_SECONDS, 'its clock is right');
      seen.add(await said(api, id, 'head -c 16 /dev/urandom | od -x'));
      await api.get(`/containers/${id}/stats?stream=0`).is(200);
      await api.get(`/containers/${id}/top`).is(200);
    }
    assert.equal(seen.size, 2);
    // Without the checkpoint it is the disk that goes on.
    await api.post(`/containers/${id}/stop?t=0`).is(204);
    await api.delete(`/containers/${id}/checkpoints/one`).is(204);
    await api.post(`/containers/${id}/start`).is(204);
    await until('the file', async () => (await said(api, id, 'cat /file')) === 'old\n');
    await api.delete(`/containers/${id}?force=1`).is(204);
  });

  test('what was written and not synced is on the disk of a container that a checkpoint ended', async () => {
    const id = await api.run(
      '[ -e /file ] && cat /file; seq 100000 > /file; echo written; exec sleep 600',
      vm(),
    );
    await api.spoke(id);
    await checkpoint(api, id, { CheckpointID: 'one', Exit: true });
    await api
      .get(`/containers/${id}/json`)
      .is(200, { State: { Status: 'exited', ExitCode: 137, Error: '' } });
    await api.post(`/containers/${id}/start`).is(204);
    await until('all lines', async () => (await numbers(api, id)).includes(100_000));
    await api.delete(`/containers/${id}?force=1`).is(204);
  });

  test('an exec goes on in a container that does, and is no part of the checkpoint', async () => {
    const id = await api.run(COUNT, vm());
    const exec = await api.post(`/containers/${id}/exec`, { Cmd: ['sleep', '4321'] }).is(201);
    await api.post(`/exec/${field(exec, 'Id')}/start`, { Detach: true }).is(200);
    await checkpoint(api, id, { CheckpointID: 'one' });
    await api.get(`/exec/${field(exec, 'Id')}/json`).is(200, { Running: true });
    await counts(api, id);
    await api.post(`/containers/${id}/stop?t=0`).is(204);
    await api.post(`/containers/${id}/start?checkpoint=one`).is(204);
    await until('the exec’s process has gone', async () => !(await said(api, id, 'ps')).includes('4321'));
    await counts(api, id);
    await api.delete(`/containers/${id}?force=1`).is(204);
  });

  test('its address is the one that the container has now', async () => {
    const id = await api.run(COUNT, vm());
    const addresses = async (): Promise<string[]> => {
      const container = await api.get(`/containers/${id}/json`).is(200);
      const bridge = (name: string): string =>
        field(container, 'NetworkSettings', 'Networks', 'bridge', name);
      return [`inet ${bridge('IPAddress')}/`, `link/ether ${bridge('MacAddress')} `];
    };
    const first = await addresses();
    await checkpoint(api, id, { CheckpointID: 'one', Exit: true });
    const others: string[] = [];
    while (!(await taken(api, first)))
      others.push(await api.run('exec sleep 600', { HostConfig: { Runtime: 'crun' } }));
    await api.post(`/containers/${id}/start?checkpoint=one`).is(204);
    const second = await addresses();
    assert.notDeepEqual(second, first);
    const there = await said(api, id, 'ip addr; ip route');
    for (const address of second) assert.ok(there.includes(address), `${address} in ${there}`);
    assert.ok(!there.includes(first[0] ?? ''), there);
    assert.match(await said(api, id, `ping -c 1 ${daemon.gateway}`), / 0% packet loss/);
    for (const each of [id, ...others]) await api.delete(`/containers/${each}?force=1`).is(204);
  });

  test('connections to others are reset, those to itself go on', async () => {
    const server = createServer((socket) => socket.on('error', () => {}));
    server.listen(0, daemon.gateway);
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const connected = once(server, 'connection');
    try {
      const id = await api.run(
        // What is never written holds the first one open; the second carries what is attached.
        `mkfifo /never /in; exec 8<>/never 9<>/in; (nc ${daemon.gateway} ${port} <&8; echo over) & nc -l -p 99 <&8 & (until nc 127.0.0.1 99 <&9; do usleep 50000; done) & echo first >&9; while read word; do echo $word >&9; done`,
        { OpenStdin: true, ...vm() },
      );
      const [peer] = (await connected) as [Socket];
      await api.spoke(id);
      await checkpoint(api, id, { CheckpointID: 'one', Exit: true });
      await api.post(`/containers/${id}/start?checkpoint=one`).is(204);
      const stream = await api.raw('POST', `/containers/${id}/attach?stream=1&stdin=1&stdout=1&logs=1`, {
        upgrade: true,
      });
      await stream.has('over');
      stream.write('through\n');
      await stream.has('through');
      stream.close();
      peer.destroy();
      await api.delete(`/containers/${id}?force=1`).is(204);
    } finally {
      server.close();
    }
  });

  test('files of the host are refused, and a disk that is full is told; the container runs on', async () => {
    const shared = await api.run(COUNT, vm({ Binds: ['/etc:/host:ro'] }));
    await api
      .post(`/containers/${shared}/checkpoints`, { CheckpointID: 'one' })
      .is(501, { message: /bind mounts or volumes cannot be checkpointed/ });
    await counts(api, shared);
    await api.delete(`/containers/${shared}?force=1`).is(204);
    const full = mkdtempSync(path.join(tmpdir(), 'checkpoints-'));
    mountTmpfs(full, { size: 8 << 20, mode: 0o700 });
    try {
      const id = await api.run(COUNT, vm());
      await counts(api, id);
      for (const Exit of [false, true]) {
        const body = { CheckpointID: 'one', CheckpointDir: full, Exit };
        await api
          .post(`/containers/${id}/checkpoints`, body)
          .is(500, { message: /^Cannot checkpoint container .*(ENOSPC|No space left)/ });
        await api.get(`/containers/${id}/json`).is(200, { State: { Running: true } });
        await counts(api, id);
        assert.deepEqual(readdirSync(full), []);
      }
      await checkpoint(api, id, { CheckpointID: 'one' });
      await api.delete(`/containers/${id}?force=1`).is(204);
    } finally {
      unmount(full, { lazy: true });
      rmSync(full, { recursive: true, force: true });
    }
  });

  test('an engine or a QEMU that is killed amid it leaves no half of one', async () => {
    const id = await api.run(COUNT, vm());
    const directory = path.join(daemon.dataRoot, 'containers', id, 'checkpoints', 'half');
    const begin = async (): Promise<ReturnType<typeof reply>> => {
      const answer = reply(api, id);
      await until('it is being made', () => existsSync(path.join(directory, 'state')));
      return answer;
    };
    await begin();
    await daemon.kill();
    await daemon.start();
    const list = await api.get(`/containers/${id}/checkpoints`).is(200);
    // It may have been quicker.
    assert.equal(existsSync(directory), list !== null);
    await counts(api, id);
    if (list !== null) await api.delete(`/containers/${id}/checkpoints/half`).is(204);
    const { qemu } = await processesOf(api, id);
    const answer = await begin();
    process.kill(qemu, 'SIGKILL');
    const made = (await answer.status) === 201;
    assert.equal(existsSync(directory), made);
    await until('its end', async () => {
      const state = await api.get(`/containers/${id}/json`).is(200);
      return field(state, 'State', 'Status') === 'exited';
    });
    await api.delete(`/containers/${id}`).is(204);
  });

  test('what is no checkpoint of a microVM is refused, and the container starts without it', async () => {
    const elsewhere = mkdtempSync(path.join(tmpdir(), 'checkpoints-'));
    try {
      mkdirSync(path.join(elsewhere, 'other'));
      const id = await api.create({ Cmd: ['sleep', '600'], ...vm() });
      await api
        .post(`/containers/${id}/start?checkpoint=other&checkpoint-dir=${elsewhere}`)
        .is(409, { message: /is no checkpoint of a microVM/ });
      await api.post(`/containers/${id}/start`).is(204);
      await api.delete(`/containers/${id}?force=1`).is(204);
    } finally {
      rmSync(elsewhere, { recursive: true, force: true });
    }
  });
});

/** Whether a container has this address: `inet 10.0.0.2/`. */
async function taken(api: Api, [address = '']: string[]): Promise<boolean> {
  const list = (await api.get('/containers/json').is(200)) as {
    NetworkSettings: { Networks: { bridge: { IPAddress: string } } };
  }[];
  return list.some(({ NetworkSettings }) => address === `inet ${NetworkSettings.Networks.bridge.IPAddress}/`);
}

async function checkpoint(api: Api, id: string, body: Record<string, unknown>): Promise<void> {
  await api.post(`/containers/${id}/checkpoints`, body).is(201);
}

/** Of a checkpoint that something comes between; an engine that has gone answers nothing. */
function reply(api: Api, id: string): { status: Promise<number | undefined> } {
  const answer = api.post(`/containers/${id}/checkpoints`, { CheckpointID: 'half' }).reply();
  return {
    status: answer.then(
      ({ status }) => status,
      () => undefined,
    ),
  };
}

async function numbers(api: Api, id: string): Promise<number[]> {
  const { body } = await api.get(`/containers/${id}/logs?stdout=1`).reply();
  return demultiplex(body).stdout.trimEnd().split('\n').filter(Boolean).map(Number);
}

/** It says more. */
async function counts(api: Api, id: string): Promise<void> {
  const before = (await numbers(api, id)).length;
  await until('it counts', async () => (await numbers(api, id)).length > before + 2);
}

async function said(api: Api, id: string, line: string): Promise<string> {
  const exec = await api
    .post(`/containers/${id}/exec`, { Cmd: ['sh', '-c', line], AttachStdout: true, AttachStderr: true })
    .is(201);
  const { body } = await api.post(`/exec/${field(exec, 'Id')}/start`, {}).reply();
  return demultiplex(body).stdout;
}
