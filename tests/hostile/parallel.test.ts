import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import { after, before, test } from 'node:test';

import { Api, type Json } from '../api/client.ts';
import { Daemon, request, sleep, startDaemon, until } from '../daemons.ts';
import { assertNoLeaks, type HostSnapshot, hostSnapshot } from '../leaks.ts';
import { Random } from '../random.ts';
import { busyboxImage, dockerArchive } from '../test-images.ts';

const PARALLEL = 1000;
const SEED = Number(process.env.HULL_HOSTILE_SEED ?? Date.now() % 1_000_000);

let daemon: Daemon;
let api: Api;
let snapshot: HostSnapshot;

before(async () => {
  snapshot = hostSnapshot();
  daemon = await startDaemon('hull');
  api = new Api(daemon.socket);
  await api.post('/images/load?quiet=1', dockerArchive([busyboxImage()])).is(200);
});

after(async () => {
  await daemon[Symbol.asyncDispose]();
  await assertNoLeaks(snapshot, [daemon.directory]);
});

test(`${PARALLEL} requests at once for one container (seed ${SEED})`, { timeout: 120_000 }, async () => {
  const random = new Random(SEED);
  const names: [string, ...string[]] = ['one', 'other'];
  await api.create({ Cmd: ['sh', '-c', 'trap exit TERM; while :; do sleep 0.05; done'] }, 'one');
  const statuses = new Set<number>();
  const refused: string[] = [];
  const ask = async (): Promise<void> => {
    const name = random.pick(names);
    const [method, action] = random.pick<[string, string]>([
      ['POST', 'start'],
      ['POST', 'stop?t=1'],
      ['POST', 'restart?t=0'],
      ['POST', 'kill'],
      ['POST', 'pause'],
      ['POST', 'unpause'],
      ['POST', `rename?name=${random.pick(names)}`],
      ['GET', 'json'],
      ['GET', 'top'],
      ['DELETE', '?v=1'],
    ]);
    const url = `/containers/${name}${action.startsWith('?') ? '' : '/'}${action}`;
    const { status, body } = await request(daemon.socket, method, url, { timeoutMs: 100_000 });
    statuses.add(status);
    if (status >= 500) refused.push(`${method} ${url}: ${status} ${body.toString()}`);
  };
  await Promise.all(Array.from({ length: PARALLEL }, ask));
  assert.deepEqual(refused, []);
  assert.ok(statuses.has(204), [...statuses].join());
  await daemon.removeContainers();
  await api.get('/containers/json?all=1').is(200, []);
});

test('a prune takes nothing that is still being made', { timeout: 60_000 }, async () => {
  const body = { Volumes: { '/etc': {}, '/bin': {} } };
  const made = Array.from({ length: 20 }, () => api.create(body));
  const prunes = Array.from({ length: 20 }, async (_, index) => {
    await sleep(index * 10);
    return (await api.post('/containers/prune').reply()).status;
  });
  await Promise.all(made);
  for (const status of await Promise.all(prunes)) assert.ok([200, 409].includes(status));
  await api.post('/containers/prune').is([200, 409]);
  await daemon.removeContainers();
});

/** What the daemon holds open, when it has come to rest. */
function held(): { descriptors: number; readers: Promise<Json> } {
  return {
    descriptors: readdirSync(`/proc/${daemon.pid}/fd`).length,
    readers: api.get('/info').is(200),
  };
}

/** Opens a request, waits for the first of its answer, and breaks the connection off. */
function breakOff(
  method: string,
  url: string,
  options: { body?: string; upgrade?: boolean } = {},
): Promise<void> {
  return new Promise((resolve) => {
    const socket = net.connect(daemon.socket);
    const end = (): void => {
      socket.destroy();
      resolve();
    };
    socket.once('data', end).once('error', end).once('close', end);
    setTimeout(end, 300).unref();
    const body = options.body ?? '';
    const upgrade = options.upgrade === true ? 'Connection: Upgrade\r\nUpgrade: tcp\r\n' : '';
    socket.write(
      `${method} ${url} HTTP/1.1\r\nHost: x\r\n${upgrade}Content-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    );
  });
}

test('connections that break off leave nothing behind', { timeout: 60_000 }, async () => {
  const id = await api.run(
    'while :; do echo line; sleep 0.01; done',
    { OpenStdin: true, Tty: false },
    'talks',
  );
  await api.get('/_ping').is(200);
  await sleep(200);
  const before = held().descriptors;
  const exec = async (): Promise<string> => {
    const created = (await api
      .post(`/containers/${id}/exec`, { Cmd: ['true'], AttachStdout: true })
      .is(201)) as { Id: string };
    return created.Id;
  };
  for (let round = 0; round < 10; round++) {
    await Promise.all([
      breakOff('GET', `/containers/${id}/logs?follow=1&stdout=1`),
      breakOff('POST', `/containers/${id}/attach?stream=1&stdin=1&stdout=1`, { upgrade: true }),
      breakOff('GET', '/events'),
      breakOff('GET', `/containers/${id}/stats`),
      breakOff('POST', `/containers/${id}/wait`),
      breakOff('POST', `/exec/${await exec()}/start`, { body: '{}', upgrade: true }),
      breakOff('GET', `/containers/${id}/archive?path=/bin`),
      breakOff('GET', `/containers/${id}/export`),
      breakOff('GET', '/images/busybox/get'),
    ]);
    await breakUpload('/images/load');
    await breakUpload(`/containers/${id}/archive?path=/tmp`, 'PUT');
  }
  await until('every descriptor is given back', () => held().descriptors <= before + 1);
  const { NEventsListener: listeners } = (await held().readers) as { NEventsListener: number };
  assert.equal(listeners, 0);
  await daemon.removeContainers();
});

/** Says that a long archive comes, sends the beginning of one, and breaks off. */
function breakUpload(url: string, method = 'POST'): Promise<void> {
  return new Promise((resolve) => {
    const message = http.request({
      socketPath: daemon.socket,
      method,
      path: url,
      headers: { 'Content-Length': 1e9 },
    });
    message.on('error', () => resolve());
    message.on('close', () => resolve());
    message.write(dockerArchive([busyboxImage()]).subarray(0, 300_000));
    setTimeout(() => message.destroy(), 20);
  });
}

test(
  'an events reader that does not read costs bounded memory, and delays nobody',
  { timeout: 60_000 },
  async () => {
    const lazy = net.connect(daemon.socket);
    lazy.write('GET /events HTTP/1.1\r\nHost: x\r\n\r\n');
    await until('it is subscribed', async () => {
      const { NEventsListener: listeners } = (await api.get('/info').is(200)) as { NEventsListener: number };
      return listeners === 1;
    });
    lazy.pause();
    for (let round = 0; round < 300; round++) {
      await api.post('/images/busybox/tag?repo=lazy&tag=v1').is(201);
      await api.delete('/images/lazy:v1').is(200);
    }
    lazy.destroy();
    await until('it is gone', async () => {
      const { NEventsListener: listeners } = (await api.get('/info').is(200)) as { NEventsListener: number };
      return listeners === 0;
    });
  },
);
