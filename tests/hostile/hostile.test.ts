import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import { test } from 'node:test';

import { Api } from '../api/client.ts';
import { type Operation, OPERATIONS } from '../api/description.ts';
import { Daemon, until } from '../daemons.ts';
import { assertNoLeaks, hostSnapshot } from '../leaks.ts';
import { Random } from '../random.ts';
import { busyboxImage, dockerArchive, layeredImage } from '../test-images.ts';
import { hostileRequest, type HostileRequest, type Targets } from './request.ts';

/**
 * Requests made from the API description, right and wrong in every way: none may end in a 500, none may hang, and nothing may
 * stay behind. `HULL_HOSTILE_REQUESTS` makes it longer, `HULL_HOSTILE_SEED` repeats a run.
 */
const REQUESTS = Number(process.env.HULL_HOSTILE_REQUESTS ?? 2_000);
const SEED = Number(process.env.HULL_HOSTILE_SEED ?? Date.now() % 1_000_000);
const WORKERS = 6;
/** After that many the containers and images are made anew, for some requests remove them. */
const ROUND = 500;
const HANGS_AFTER_MS = 30_000;
/** These answer when something happens; their clients go away before. */
const WAITING = /\/(wait|attach|logs|events|stats|start|stop|restart|ws|load|archive|export)\b/;
/** Docker answers arguments that its `ps` refuses with 500, and so does Hull. */
const AS_DOCKER = /"message":"(ps: |specifying |Couldn't find PID)/;
const PATIENCE_MS = 700;
const MEMORY_MIB = 400;

const TARGETS: Targets = {
  containers: ['hostile0', 'hostile1', 'hostile2', 'nosuch', '0', 'a'],
  images: ['busybox', 'layered:v1', 'nosuch', 'busybox:nosuch', 'made:v1'],
};

type Operations = [Operation, ...Operation[]];
const ELSEWHERE = /^\/(swarm|nodes|services|tasks|secrets|configs|plugins|build|session)/;
const CREATE = OPERATIONS.filter(({ path }) => path === '/containers/create') as Operations;
const SELDOM = OPERATIONS.filter(({ path }) => ELSEWHERE.test(path)) as Operations;
const OFTEN = OPERATIONS.filter(({ path }) => !ELSEWHERE.test(path)) as Operations;

interface Outcome {
  status: number | undefined;
  text: string;
}

/** Sends one; without a status when its client went away first. */
function send(socketPath: string, { method, url, body, headers }: HostileRequest): Promise<Outcome> {
  const waiting = WAITING.test(url);
  return new Promise((resolve, reject) => {
    const message = http.request({ socketPath, method, path: url, headers, agent: false });
    let status: number | undefined;
    let text = '';
    const settle = (): void => {
      clearTimeout(timer);
      message.destroy();
      resolve({ status, text });
    };
    const timer = setTimeout(
      () => (waiting ? settle() : reject(new Error(`${method} ${url.slice(0, 300)}: no answer in time`))),
      waiting ? PATIENCE_MS : HANGS_AFTER_MS,
    );
    message.on('response', (response) => {
      status = response.statusCode;
      response.on('data', (chunk: Buffer) => (text += chunk.toString()));
      response.on('close', settle);
    });
    message.on('upgrade', (response, socket) => {
      status = response.statusCode;
      socket.destroy();
      settle();
    });
    // A refused body may be cut off while it is still being written.
    message.on('error', settle);
    message.end(body);
  });
}

/** What an impatient client left is still being done, and may start what has just been removed. */
async function clear(api: Api, daemon: Daemon): Promise<void> {
  await until('all containers are gone', async () => {
    await daemon.removeContainers();
    return JSON.stringify(await api.get('/containers/json?all=1').is(200)) === '[]';
  });
}

async function prepare(api: Api, daemon: Daemon): Promise<void> {
  await clear(api, daemon);
  await api.post('/images/load?quiet=1', dockerArchive([busyboxImage(), layeredImage()])).is(200);
  for (const name of TARGETS.containers.slice(0, 3)) {
    await api.run('sleep 1000', { OpenStdin: true }, name);
  }
}

test(`${REQUESTS} hostile requests (seed ${SEED})`, { timeout: 3_600_000 }, async (context) => {
  const before = hostSnapshot();
  const random = new Random(SEED);
  const daemon = new Daemon('hull');
  const statuses = new Map<number, number>();
  const failures = new Map<string, string>();
  try {
    await daemon.start();
    const api = new Api(daemon.socket);
    for (let sent = 0; sent < REQUESTS; sent += ROUND) {
      await prepare(api, daemon);
      const requests = Array.from({ length: Math.min(ROUND, REQUESTS - sent) }, () =>
        hostileRequest(random, operation(random), TARGETS),
      );
      const work = async (): Promise<void> => {
        for (let next = requests.pop(); next !== undefined; next = requests.pop()) {
          const { status = 0, text } = await send(daemon.socket, next);
          statuses.set(status, (statuses.get(status) ?? 0) + 1);
          if (status === 500 && !AS_DOCKER.test(text))
            failures.set(
              text.slice(0, 300),
              `${next.method} ${next.url.slice(0, 300)} ${String(next.body).slice(0, 1000)}`,
            );
        }
      };
      await Promise.all(Array.from({ length: WORKERS }, work));
    }
    await clear(api, daemon);
    context.diagnostic(
      `answers: ${JSON.stringify(Object.fromEntries(statuses))}, RSS ${residentMiB(daemon.pid)} MiB`,
    );
    assert.deepEqual(
      [...failures].map(([text, request]) => `${text} to ${request}`),
      [],
    );
    assert.ok(residentMiB(daemon.pid) < MEMORY_MIB, `the daemon holds ${residentMiB(daemon.pid)} MiB`);
    assert.doesNotMatch(daemon.log, /Unexpected error/);
  } finally {
    await daemon[Symbol.asyncDispose]();
  }
  await assertNoLeaks(before, [daemon.directory]);
});

function residentMiB(pid: number): number {
  const kib = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return Math.round(Number(kib) / 1024);
}

/** Any, but those that answer 501 whatever they are asked seldom, and the one with most to get wrong often. */
function operation(random: Random): Operation {
  if (random.next() < 0.15) return random.pick(CREATE);
  return random.pick(random.next() < 0.95 ? OFTEN : SELDOM);
}
