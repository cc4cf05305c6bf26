import { readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { request, sleep } from '../tests/daemons.ts';
import { BareCrun } from './bare-crun.ts';
import { writeBigImage } from './big-image.ts';
import { procField, type Peer } from './peers.ts';

/** Measurements by column (an engine, or "crun"), in the row's unit. */
export type Samples = Record<string, number[]>;

export interface Row {
  name: string;
  title: string;
  unit: 'ms' | 's' | 'MB';
  /** What docs/PERFORMANCE.md promises: at least so many times dockerd's figure, or at most this much. */
  promise?: { timesDocker: number } | { atMost: number } | { aboveCrun: number };
}

type Timed = Record<string, () => Promise<void> | void>;

/** The columns in turn, round after round, so that what else happens on the host hits all of them alike. */
async function interleaved(rounds: number, columns: Timed): Promise<Samples> {
  const samples: Samples = {};
  for (const run of Object.values(columns)) await run();
  for (let round = 0; round < rounds; round++) {
    for (const [column, run] of Object.entries(columns)) {
      const began = performance.now();
      await run();
      (samples[column] ??= []).push(performance.now() - began);
    }
  }
  return samples;
}

function columns(peers: readonly Peer[], run: (peer: Peer) => Promise<void> | void): Timed {
  return Object.fromEntries(peers.map((peer) => [peer.name, () => run(peer)]));
}

async function api(
  peer: Peer,
  method: string,
  url: string,
  body?: unknown,
): Promise<Record<string, unknown>> {
  const reply = await request(peer.socket, method, url, {
    body: body === undefined ? undefined : JSON.stringify(body),
    headers: { Host: 'engine', ...(body === undefined ? {} : { 'Content-Type': 'application/json' }) },
    timeoutMs: 60_000,
  });
  if (reply.status >= 400)
    throw new Error(`${peer.name}: ${method} ${url}: ${reply.status} ${reply.body.toString()}`);
  const json =
    reply.headers['content-type']?.startsWith('application/json') === true && reply.body.length > 0;
  return json && !reply.body.includes('\n{')
    ? (JSON.parse(reply.body.toString()) as Record<string, unknown>)
    : {};
}

async function create(peer: Peer, body: Record<string, unknown>): Promise<string> {
  return String((await api(peer, 'POST', '/v1.41/containers/create', { Image: 'busybox', ...body })).Id);
}

/** create, start, wait and remove over the API, as a test suite does it. */
async function whole(peer: Peer, hostConfig: Record<string, unknown> = {}): Promise<void> {
  const id = await create(peer, { Cmd: ['true'], HostConfig: hostConfig });
  await api(peer, 'POST', `/v1.41/containers/${id}/start`);
  await api(peer, 'POST', `/v1.41/containers/${id}/wait`);
  await api(peer, 'DELETE', `/v1.41/containers/${id}`);
}

async function eightAtATime(count: number, run: (index: number) => Promise<void>): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < count) await run(next++);
  };
  await Promise.all(Array.from({ length: 8 }, worker));
}

async function seconds(run: () => Promise<void> | void): Promise<number> {
  const began = performance.now();
  await run();
  return (performance.now() - began) / 1000;
}

const MANY = 100;

async function many(
  peers: readonly Peer[],
  start: (peer: Peer, name: string) => Promise<void>,
): Promise<Samples[]> {
  const starts: Samples = {};
  const removals: Samples = {};
  for (const peer of peers) {
    const names = Array.from({ length: MANY }, (_, index) => `many${index}`);
    starts[peer.name] = [await seconds(() => eightAtATime(MANY, (index) => start(peer, names[index] ?? '')))];
    removals[peer.name] = [
      await seconds(
        () => void peer.cli('rm', '-f', ...(peer.name === 'podman' ? ['-t', '0'] : []), ...names),
      ),
    ];
  }
  return [starts, removals];
}

/** Proportional set size in bytes: shared pages counted in shares, which is what one more process costs the host. */
function pss(pid: number): number {
  const line = /^Pss:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'));
  return Number(line?.[1] ?? 0) * 1024;
}

const IDLE = 20;

async function idleMemory(peers: readonly Peer[]): Promise<Samples[]> {
  const perContainer: Samples = {};
  for (const peer of peers) {
    const ids: string[] = [];
    for (let index = 0; index < IDLE; index++) {
      const id = await create(peer, { Cmd: ['sleep', '600'] });
      await api(peer, 'POST', `/v1.41/containers/${id}/start`);
      ids.push(id);
    }
    await sleep(1000);
    const monitors = new Set<number>();
    for (const id of ids) {
      const { State } = await api(peer, 'GET', `/v1.41/containers/${id}/json`);
      const { Pid } = State as { Pid: number };
      monitors.add(Number(procField(Pid, 'PPid')));
    }
    const total = [...monitors].filter((pid) => pid > 1).reduce((sum, pid) => sum + pss(pid), 0);
    perContainer[peer.name] = [total / IDLE / 1e6];
    await Promise.all(ids.map((id) => api(peer, 'DELETE', `/v1.41/containers/${id}?force=1`)));
  }
  return [perContainer];
}

async function bigImage(peers: readonly Peer[]): Promise<Samples[]> {
  const file = path.join(tmpdir(), `bench-${process.pid}.tar`);
  const loads: Samples = {};
  const removals: Samples = {};
  try {
    writeBigImage(file, 'big:v1');
    if (statSync(file).size < 300e6) throw new Error('the image is smaller than it should be');
    for (const peer of peers) {
      // The quick one has three rounds; the others take most of a minute each.
      for (let round = 0; round < (peer.name === 'hull' ? 3 : 1); round++) {
        (loads[peer.name] ??= []).push(await seconds(() => void peer.cli('load', '-q', '-i', file)));
        (removals[peer.name] ??= []).push((await seconds(() => void peer.cli('rmi', 'big:v1'))) * 1000);
      }
    }
  } finally {
    rmSync(file, { force: true });
  }
  return [loads, removals];
}

async function withSleeper(
  peers: readonly Peer[],
  measure: (sleeper: string) => Promise<Samples>,
): Promise<Samples> {
  for (const peer of peers) peer.cli('run', '-d', '--name', 'sleeper', 'busybox', 'sleep', '600');
  try {
    return await measure('sleeper');
  } finally {
    for (const peer of peers) peer.cli('rm', '-f', ...(peer.name === 'podman' ? ['-t', '0'] : []), 'sleeper');
  }
}

async function apiExec(peer: Peer, sleeper: string): Promise<void> {
  const { Id } = await api(peer, 'POST', `/v1.41/containers/${sleeper}/exec`, {
    Cmd: ['true'],
    AttachStdout: true,
  });
  await api(peer, 'POST', `/v1.41/exec/${String(Id)}/start`, { Detach: false, Tty: false });
}

/** One group measures several rows in one go; the first word picks it: `npm run bench -- run exec`. */
export interface Group {
  rows: Row[];
  measure(peers: readonly Peer[]): Promise<Samples[]>;
}

export const GROUPS: Record<string, Group> = {
  run: {
    rows: [
      {
        name: 'run',
        title: '`run --rm busybox true`, CLI to prompt, bridge',
        unit: 'ms',
        promise: { timesDocker: 6 },
      },
      { name: 'run-none', title: 'the same, no network', unit: 'ms' },
    ],
    measure: async (peers) => [
      await interleaved(
        12,
        columns(peers, (peer) => void peer.cli('run', '--rm', 'busybox', 'true')),
      ),
      await interleaved(
        8,
        columns(peers, (peer) => void peer.cli('run', '--rm', '--net', 'none', 'busybox', 'true')),
      ),
    ],
  },
  api: {
    rows: [
      {
        name: 'api',
        title: 'create + start + wait + remove over the API, bridge',
        unit: 'ms',
        promise: { timesDocker: 8 },
      },
      { name: 'api-none', title: 'the same, no network', unit: 'ms' },
      {
        name: 'above-crun',
        title: 'the bridge row beside a bare `crun run`',
        unit: 'ms',
        promise: { aboveCrun: 15 },
      },
    ],
    measure: async (peers) => {
      using crun = new BareCrun();
      const bridge = await interleaved(15, {
        ...columns(peers, (peer) => whole(peer)),
        crun: () => crun.run(),
      });
      const none = await interleaved(
        10,
        columns(peers, (peer) => whole(peer, { NetworkMode: 'none' })),
      );
      return [bridge, none, { hull: bridge.hull ?? [], crun: bridge.crun ?? [] }];
    },
  },
  exec: {
    rows: [
      { name: 'exec', title: '`exec true` over the API', unit: 'ms', promise: { timesDocker: 2.5 } },
      { name: 'exec-cli', title: '`exec true`, CLI to prompt', unit: 'ms', promise: { timesDocker: 2.5 } },
    ],
    measure: async (peers) => [
      await withSleeper(peers, (sleeper) =>
        interleaved(
          15,
          columns(peers, (peer) => apiExec(peer, sleeper)),
        ),
      ),
      await withSleeper(peers, (sleeper) =>
        interleaved(
          12,
          columns(peers, (peer) => void peer.cli('exec', sleeper, 'true')),
        ),
      ),
    ],
  },
  many: {
    rows: [
      {
        name: 'many',
        title: '100 detached containers, 8 at a time, over the API',
        unit: 's',
        promise: { timesDocker: 5 },
      },
      { name: 'many-rm', title: '`rm -f` of the 100', unit: 's', promise: { timesDocker: 5 } },
      {
        name: 'many-cli',
        title: '100 × `run -d`, 8 at a time, by the CLI',
        unit: 's',
        promise: { timesDocker: 5 },
      },
      { name: 'many-cli-rm', title: '`rm -f` of those 100', unit: 's', promise: { timesDocker: 5 } },
    ],
    measure: async (peers) => [
      ...(await many(peers, async (peer, name) => {
        await api(peer, 'POST', `/v1.41/containers/create?name=${name}`, {
          Image: 'busybox',
          Cmd: ['sleep', '600'],
        });
        await api(peer, 'POST', `/v1.41/containers/${name}/start`);
      })),
      ...(await many(peers, (peer, name) =>
        peer.cliAsync('run', '-d', '--name', name, 'busybox', 'sleep', '600'),
      )),
    ],
  },
  load: {
    rows: [
      {
        name: 'load',
        title: 'load an image of 100,000 files, 297 MB',
        unit: 's',
        promise: { timesDocker: 12 },
      },
      { name: 'rmi', title: 'remove that image', unit: 'ms', promise: { timesDocker: 50 } },
    ],
    measure: bigImage,
  },
  memory: {
    rows: [
      { name: 'rest', title: 'daemon at rest, RSS', unit: 'MB', promise: { atMost: 90 } },
      { name: 'idle', title: 'monitor of an idle container, PSS', unit: 'MB', promise: { atMost: 1 } },
    ],
    measure: async (peers) => {
      // At rest: what starting and loading the image needed has been given back (src/main/idle-memory.ts takes five seconds).
      await sleep(6000);
      const rest = Object.fromEntries(peers.map((peer) => [peer.name, [peer.daemonMemory() / 1e6]]));
      return [rest, ...(await idleMemory(peers))];
    },
  },
};
