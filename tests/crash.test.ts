import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';

import { Api, demultiplex, field, type Json } from './api/client.ts';
import { Load } from './crash-load.ts';
import { Daemon, sleep, until } from './daemons.ts';
import { assertNoLeaks, hostSnapshot } from './leaks.ts';
import { Random } from './random.ts';
import { busyboxImage, dockerArchive } from './test-images.ts';

/**
 * kill -9 of the daemon at random moments under load. `HULL_CRASH_SEED` repeats a run, `HULL_CRASH_ROUNDS` shortens it.
 * Not for dockerd: 20.10 takes its containerd with it and after some rounds no longer starts on the same roots.
 */
const ROUNDS = Number(process.env.HULL_CRASH_ROUNDS ?? 50);
const SEED = Number(process.env.HULL_CRASH_SEED ?? Date.now() % 1_000_000);
const WORKERS = 3;
const COUNTERS = 3;
const TIME_BUDGET_MS = 170_000;

test(`${ROUNDS} crashes under load lose nothing (seed ${SEED})`, { timeout: 300_000 }, async (context) => {
  const before = hostSnapshot();
  const random = new Random(SEED);
  const daemon = new Daemon('hull');
  let rounds = 0;
  try {
    await daemon.start();
    const api = new Api(daemon.socket);
    await api.post('/images/load?quiet=1', dockerArchive([busyboxImage()])).is(200);
    const counters = await startCounters(api);
    const readiness: number[] = [];
    const began = Date.now();
    let operations = 0;
    for (; rounds < ROUNDS && Date.now() - began < TIME_BUDGET_MS; rounds++) {
      const load = new Load(api, random, [...counters.keys()][0] ?? '');
      const workers = Array.from({ length: WORKERS }, () => load.work());
      await sleep(random.between(50, 1200));
      await daemon.kill();
      load.stop();
      await Promise.all(workers);
      checkStore(daemon);
      readiness.push(await daemon.start());
      const where = `round ${rounds + 1} of seed ${SEED}`;
      assert.deepEqual(load.unexpected, [], where);
      await checkFacts(api, load, where);
      await checkCounters(api, counters, where, rounds % 10 === 9);
      await checkList(api, where);
      await clean(api, counters, load);
      operations += load.operations;
    }
    readiness.sort((a, b) => a - b);
    context.diagnostic(
      `${rounds} crashes, ${operations} operations, ready again after ${Math.round(readiness[readiness.length >> 1] ?? 0)} ms (median), ${Math.round(readiness.at(-1) ?? 0)} ms at most`,
    );
    await checkCounters(api, counters, 'at the end', true);
  } finally {
    await daemon[Symbol.asyncDispose]();
  }
  await assertNoLeaks(before, [daemon.directory]);
  assert.ok(rounds >= Math.min(ROUNDS, 20), `only ${rounds} crashes within the time`);
});

interface Counter {
  pid: string;
  seen: number;
}

/** Containers that write 0, 1, 2 … for as long as they live. */
async function startCounters(api: Api): Promise<Map<string, Counter>> {
  const counters = new Map<string, Counter>();
  for (let index = 0; index < COUNTERS; index++) {
    const id = await api.run(
      'i=0; while :; do echo $i; i=$((i+1)); usleep 30000; done',
      {},
      `counter${index}`,
    );
    const pid = field(await api.get(`/containers/${id}/json`).is(200), 'State', 'Pid');
    counters.set(id, { pid, seen: -1 });
  }
  return counters;
}

/** The very processes still run, their output has grown, and no line is missing, doubled, cut or out of order. */
async function checkCounters(
  api: Api,
  counters: Map<string, Counter>,
  where: string,
  all: boolean,
): Promise<void> {
  for (const [id, counter] of counters) {
    const state = await api.get(`/containers/${id}/json`).is(200, { State: { Running: true } });
    assert.equal(field(state, 'State', 'Pid'), counter.pid, `${where}: the process of a counter`);
    const read = async (): Promise<number[]> => {
      const tail = all ? 'all' : '300';
      const reply = await api.get(`/containers/${id}/logs?stdout=1&tail=${tail}`).reply();
      return demultiplex(reply.body).stdout.trimEnd().split('\n').map(Number);
    };
    let lines: number[] = [];
    await until(`${where}: a counter goes on`, async () => {
      lines = await read();
      return (lines.at(-1) ?? -1) > counter.seen;
    });
    const first = lines[0] ?? 0;
    if (all) assert.equal(first, 0, `${where}: the first line of a counter`);
    const wrong = lines.findIndex((line, index) => line !== first + index);
    assert.equal(wrong, -1, `${where}: after ${lines[wrong - 1]} comes ${lines[wrong]}`);
    counter.seen = lines.at(-1) ?? counter.seen;
  }
}

/** What was acknowledged before the crash holds after it. */
async function checkFacts(api: Api, load: Load, where: string): Promise<void> {
  for (const id of load.containers) await api.get(`/containers/${id}/json`).is(200, { Id: id });
  for (const tag of load.images) await api.get(`/images/${tag}/json`).is(200, { RepoTags: [tag] });
  for (const ref of load.removed) {
    await api.get(ref.startsWith('crash:') ? `/images/${ref}/json` : `/containers/${ref}/json`).is(404);
  }
  for (const [id, code] of load.started) {
    const ended = await api.post(`/containers/${id}/wait`).is(200);
    assert.equal(field(ended, 'StatusCode'), String(code), `${where}: exit code of ${id}`);
    if (code === 137) continue;
    const log = await api.get(`/containers/${id}/logs?stdout=1`).reply();
    assert.equal(demultiplex(log.body).stdout, 'done\n', `${where}: output of ${id}`);
  }
}

/** The list and every single container in it tell the same. */
async function checkList(api: Api, where: string): Promise<void> {
  const list = (await api.get('/containers/json?all=1').is(200)) as {
    Id: string;
    State: string;
    Names: string[];
  }[];
  const names = list.flatMap((entry) => entry.Names);
  assert.equal(new Set(names).size, names.length, `${where}: names are unique`);
  for (const entry of list) {
    const one: Json = await api.get(`/containers/${entry.Id}/json`).is(200);
    const states = [entry.State, field(one, 'State', 'Status')];
    // A short program may end between the two questions.
    assert.ok(
      states[0] === states[1] || states[1] === 'exited',
      `${where}: ${entry.Id} is ${states.join(' and ')}`,
    );
  }
  await api.get('/images/json').is(200);
}

async function clean(api: Api, counters: Map<string, Counter>, load: Load): Promise<void> {
  const list = (await api.get('/containers/json?all=1').is(200)) as { Id: string }[];
  for (const { Id } of list)
    if (!counters.has(Id)) await api.delete(`/containers/${Id}?force=1&v=1`).is([204, 404]);
  const images = (await api.get('/images/json').is(200)) as { RepoTags: string[] | null; Id: string }[];
  for (const image of images) {
    const tag = image.RepoTags?.[0] ?? image.Id;
    if (tag !== 'busybox:latest') await api.delete(`/images/${tag}?force=1`).is(200);
  }
  load.images.clear();
}

function checkStore(daemon: Daemon): void {
  const file = path.join(daemon.dataRoot, 'hull.db');
  if (!existsSync(file)) return;
  const database = new DatabaseSync(file);
  const [row] = database.prepare('PRAGMA integrity_check').all();
  database.close();
  assert.deepEqual({ ...row }, { integrity_check: 'ok' });
}
