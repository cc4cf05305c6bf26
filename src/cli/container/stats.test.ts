import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Answer, daemon, hull, json } from '../daemon.fixture.ts';
import { type StatsAnswer, statsSample } from './stats-sample.ts';

const SECOND = 1e9;

const ANSWER: StatsAnswer = {
  id: 'a'.repeat(64),
  name: '/web',
  cpu_stats: { cpu_usage: { total_usage: 3 * SECOND }, system_cpu_usage: 104 * SECOND, online_cpus: 4 },
  precpu_stats: { cpu_usage: { total_usage: 2 * SECOND }, system_cpu_usage: 100 * SECOND, online_cpus: 4 },
  memory_stats: { usage: 30_000_000, limit: 100_000_000, stats: { inactive_file: 10_000_000 } },
  networks: { eth0: { rx_bytes: 1000, tx_bytes: 2000 }, eth1: { rx_bytes: 1, tx_bytes: 2 } },
  blkio_stats: {
    io_service_bytes_recursive: [
      { op: 'Read', value: 10 },
      { op: 'write', value: 20 },
      { op: 'total', value: 30 },
    ],
  },
  pids_stats: { current: 5 },
};

test('statsSample() adds up what a container used', () => {
  assert.deepEqual(statsSample(ANSWER), {
    id: 'a'.repeat(64),
    name: 'web',
    cpuPercent: 100,
    memory: 20_000_000,
    memoryLimit: 100_000_000,
    received: 1001,
    sent: 2002,
    read: 10,
    written: 20,
    processes: 5,
  });
});

test('statsSample() counts memory as docker does under either version of cgroups', () => {
  const used = (usage: number, stats: Record<string, number>): number =>
    statsSample({ memory_stats: { usage, stats } }).memory;
  assert.equal(used(100, { total_inactive_file: 30, inactive_file: 50, cache: 90 }), 70);
  assert.equal(used(100, { inactive_file: 50 }), 50);
  assert.equal(used(100, { inactive_file: 200 }), 100);
  assert.equal(used(100, {}), 100);
});

test('statsSample() of a container that does not run is all zeros, and of a first answer without CPU', () => {
  assert.equal(statsSample({}).cpuPercent, 0);
  assert.equal(
    statsSample({ ...ANSWER, precpu_stats: { cpu_usage: { total_usage: 5 * SECOND } } }).cpuPercent,
    0,
  );
});

const HEADER =
  'CONTAINER ID   NAME      CPU %     MEM USAGE / LIMIT     MEM %     NET I/O     BLOCK I/O   PIDS\n';
const LINE = 'aaaaaaaaaaaa   web       100.00%   19.07MiB / 95.37MiB   20.00%    1kB / 2kB   10B / 20B   5\n';

test('hull stats --no-stream shows every container it finds', async (t) => {
  const state = await daemon(t, {
    'GET /containers/json': json(200, [{ Id: 'a'.repeat(64) }]),
    [`GET /containers/${'a'.repeat(12)}/stats`]: json(200, ANSWER),
  });
  const result = await hull(state, ['stats', '--no-stream']);
  assert.deepEqual(result, {
    code: 0,
    stdout: HEADER + LINE,
    stderr: '',
  });
  assert.deepEqual(state.asked, ['GET /containers/json', `GET /containers/${'a'.repeat(12)}/stats?stream=0`]);
});

test('hull stats tells which containers are not there, and shows none', async (t) => {
  const state = await daemon(t, { 'GET /containers/web/stats': json(200, ANSWER) });
  const result = await hull(state, ['stats', '--no-stream', 'web', 'nosuch']);
  assert.deepEqual(result, {
    code: 1,
    stdout: '',
    stderr: 'Error response from daemon: page not found: GET /containers/nosuch/stats\n',
  });
});

test('hull stats follows containers that come and go until the events end', async (t) => {
  const gone = 'b'.repeat(64);
  const line = (value: unknown): string => `${JSON.stringify(value)}\n`;
  const stream =
    (answer: StatsAnswer): Answer =>
    (request, response) => {
      response.write(line(answer));
      request.socket.on('close', () => response.end());
    };
  const state = await daemon(t, {
    'GET /containers/json': json(200, [{ Id: gone }]),
    [`GET /containers/${gone.slice(0, 12)}/stats`]: stream({ ...ANSWER, id: gone, name: '/gone' }),
    [`GET /containers/${'a'.repeat(12)}/stats`]: stream(ANSWER),
    'GET /events': (_, response) => {
      response.write(line({ Type: 'container', Action: 'start', Actor: { ID: 'a'.repeat(64) } }));
      setTimeout(() => response.write(line({ Type: 'container', Action: 'die', Actor: { ID: gone } })), 300);
      setTimeout(() => response.end(), 1200);
    },
  });
  const result = await hull(state, ['stats', '--format', '{{.Name}}']);
  assert.equal(result.code, 0);
  const pages = result.stdout.split('\u001B[H').slice(1);
  assert.ok(pages.every((page) => page.endsWith('\u001B[J')));
  const names = pages.map((page) =>
    page
      .match(/gone|web/g)
      ?.toSorted()
      .join(' '),
  );
  assert.equal(names[0], 'gone web');
  assert.equal(names.at(-1), 'web');
});
