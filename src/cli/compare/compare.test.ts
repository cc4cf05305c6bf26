import assert from 'node:assert/strict';
import { test } from 'node:test';
import { daemon, hull, json } from '../daemon.fixture.ts';
import { type Comparison, density, type Figure, figureText, measured, median, ratioText } from './figures.ts';
import { hostMemory, pingAverage } from './measure.ts';
import { comparisonPicture } from './picture.ts';
import { comparisonTable } from './table.ts';

const both = (container: number, vm: number): Record<'container' | 'vm', Figure> => ({
  container: measured([container]),
  vm: measured([vm]),
});

const COMPARISON: Comparison = {
  image: { name: 'a<b>&"c"', id: 'sha256:1', bytes: 1_983_034 },
  host: { name: 'host', cpus: 2, memoryTotal: 25e9, memoryAvailable: 23e9 },
  accelerator: { name: 'tcg', reason: 'there is no /dev/kvm' },
  runs: 3,
  isolation: {
    container: { kernel: '6.18.0', sharesKernel: true, surface: 'system calls' },
    vm: { kernel: '6.1.0', sharesKernel: false, surface: 'a few devices' },
  },
  figures: {
    firstOutput: both(23, 690),
    exec: both(12.34, 37),
    memory: both(0.24, 69),
    density: both(95_833, 333),
    writable: both(0, 0),
    systemCall: both(0.32, 1.72),
    diskWrite: both(1100, 40),
    roundTrip: both(0.11, 1.9),
    download: { container: { skipped: 'the image has no httpd' }, vm: { skipped: 'the image has no httpd' } },
  },
};

test('median() is the middle one, or between the middle two', () => {
  assert.equal(median([9, 1, 3]), 3);
  assert.equal(median([4, 1, 3, 2]), 2.5);
  assert.ok(Number.isNaN(median([])));
});

test('density() is how many idle ones fit, and nothing where one is not known', () => {
  assert.deepEqual(density(1e9, measured([70])), measured([14]));
  assert.deepEqual(density(1e9, { skipped: 'why' }), { skipped: 'why' });
  assert.ok('skipped' in density(1e9, measured([0])));
});

test('figureText() and ratioText() keep two or three digits', () => {
  const figures = [0, 0.054, 12.34, 1100].map((value) => figureText(measured([value]), 'ms'));
  assert.deepEqual(figures, ['0 ms', '0.05 ms', '12.3 ms', '1100 ms']);
  assert.equal(figureText(measured([333]), ''), '333');
  assert.equal(figureText({ skipped: 'why' }, 'ms'), '-');
  assert.equal(ratioText(both(10, 31)), '3.1 ×');
  assert.equal(ratioText(both(1, 316.2)), '316 ×');
  assert.equal(ratioText(both(1100, 40)), '1/28');
  assert.equal(ratioText(both(0, 0)), '');
});

test("pingAverage() reads busybox's summary and that of iputils", () => {
  assert.equal(pingAverage('round-trip min/avg/max = 0.839/2.059/13.869 ms'), 2.059);
  assert.equal(pingAverage('rtt min/avg/max/mdev = 0.029/0.041/0.053/0.012 ms'), 0.041);
  assert.equal(pingAverage('20 packets transmitted, 0 packets received'), undefined);
});

test("hostMemory() is what a VM takes of the host's, not what its guest sees", () => {
  const stats = { inactive_file: 100 };
  assert.equal(hostMemory({ memory_stats: { usage: 1000, stats } }), 900);
  assert.equal(
    hostMemory({ memory_stats: { usage: 1000, stats: { ...stats, vm_host_usage: 70_000 } } }),
    70_000,
  );
});

test("comparisonTable() names the accelerator beside each of the VM's figures, and why one is missing", () => {
  const lines = comparisonTable(COMPARISON).split('\n');
  assert.match(lines[0] ?? '', /^ +CONTAINER +MICROVM +MICROVM \/ CONTAINER$/);
  assert.match(lines[1] ?? '', /^create to first output +23\.0 ms +690 ms \(tcg\) +30 ×$/);
  const missing = lines.find((line) => line.startsWith('network, received'));
  assert.match(missing ?? '', /^network, received +- +-$/);
  assert.equal(lines.filter((line) => line.includes('(tcg)')).length, 8);
  assert.ok(lines.includes('No network, received: the image has no httpd.'));
  assert.ok(lines.includes('Accelerator of microVMs: tcg (there is no /dev/kvm).'));
});

test('comparisonPicture() is well formed, whatever the image is called, and leaves out what nobody measured', () => {
  const svg = comparisonPicture(COMPARISON);
  assert.match(svg, /^<svg xmlns="http:\/\/www\.w3\.org\/2000\/svg" /);
  assert.ok(svg.includes('hull compare a&lt;b&gt;&amp;&quot;c&quot;'));
  assert.ok(!/<script|href|<image|network, received|NaN|Infinity/.test(svg));
  assert.equal(svg.match(/<rect /g)?.length, 2 + 2 * 7);
  const open = svg.match(/<(svg|title|text)\b/g)?.length;
  assert.equal(svg.match(/<\/(svg|title|text)>/g)?.length, open);
});

test('hull compare refuses what it cannot do before it makes anything', async (t) => {
  const state = await daemon(t, { 'GET /images/nope/json': json(404, { message: 'No such image: nope' }) });
  const fails = async (...words: string[]): Promise<string> => {
    const { code, stderr } = await hull(state, ['compare', ...words]);
    assert.notEqual(code, 0);
    return stderr;
  };
  assert.match(await fails('--format', 'yaml', 'x'), /invalid format "yaml"/);
  assert.match(await fails('--runs', '0', 'x'), /invalid number of runs 0/);
  assert.match(await fails('--svg', '/nosuch/x.svg', 'x'), /no such file or directory/);
  assert.match(await fails('nope'), /No such image: nope/);
  assert.deepEqual(state.asked, ['GET /images/nope/json']);
});

test('hull compare removes what it made when a start fails', async (t) => {
  const state = await daemon(t, {
    'GET /images/x/json': json(200, { Id: 'sha256:1', Size: 1 }),
    'POST /containers/create': json(201, { Id: 'made' }),
    'POST /containers/made/start': json(500, { message: 'exec /bin/sh: no such file or directory' }),
    'DELETE /containers/made': json(204, undefined),
  });
  const { code, stderr } = await hull(state, ['compare', 'x']);
  assert.equal(code, 1);
  assert.match(stderr, /exec \/bin\/sh/);
  assert.equal(state.asked.at(-1), 'DELETE /containers/made?force=1&v=1');
});
