import { writeFileSync } from 'node:fs';

import { request } from '../tests/daemons.ts';
import { busyboxImage, dockerArchive } from '../tests/test-images.ts';
import { startPeer, type Peer } from './peers.ts';
import { GROUPS } from './groups/all.ts';
import type { Row, Samples } from './measure.ts';

/**
 * npm run bench [-- [GROUP…] [--peers hull,docker,podman] [--json FILE]]
 *
 * Hull beside dockerd and podman on this host, in one run: medians, and how many times quicker than dockerd.
 */
const NAMES = ['hull', 'docker', 'podman'] as const;

interface Result extends Row {
  medians: Record<string, number>;
  samples: Samples;
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? upper) + upper) / 2;
}

function options(args: readonly string[]): {
  groups: string[];
  peers: (typeof NAMES)[number][];
  json?: string;
} {
  const groups: string[] = [];
  let peers: (typeof NAMES)[number][] = [...NAMES];
  let json: string | undefined;
  for (let index = 0; index < args.length; index++) {
    const word = args[index] ?? '';
    if (word === '--json') json = args[++index];
    else if (word === '--peers') peers = NAMES.filter((name) => args[index + 1]?.split(',').includes(name));
    else if (word in GROUPS) groups.push(word);
    else if (!NAMES.some((name) => name === word) && !/,/.test(word)) {
      throw new Error(`No group "${word}"; there are ${Object.keys(GROUPS).join(', ')}`);
    }
  }
  return { groups: groups.length > 0 ? groups : Object.keys(GROUPS), peers, json };
}

/** "6.2 x" when it is kept, "4.1 x (promised 6)" when it is not; "" without a promise or a peer to compare with. */
function verdict({ medians, promise }: Result): string {
  const { hull, docker, crun } = medians;
  if (hull === undefined || Number.isNaN(hull)) return '';
  const times = docker === undefined || docker === 0 ? undefined : docker / hull;
  const ratio = times === undefined ? '' : `${times.toFixed(1)} ×`;
  if (promise === undefined) return ratio;
  if ('timesDocker' in promise)
    return times === undefined ? '' : kept(times >= promise.timesDocker, ratio, `${promise.timesDocker} ×`);
  if ('atMost' in promise) return kept(hull <= promise.atMost, ratio, `at most ${promise.atMost}`);
  if (crun === undefined) return '';
  const above = hull - crun;
  return kept(
    above <= promise.timesCrunAbove * crun,
    `${above.toFixed(1)} ms above, ${(above / crun).toFixed(2)} × a bare run`,
    `at most ${promise.timesCrunAbove} ×`,
  );
}

function kept(isKept: boolean, figure: string, promised: string): string {
  return `${figure} (${isKept ? 'kept' : 'NOT KEPT'}: ${promised})`.trim();
}

function figure(value: number | undefined, unit: string): string {
  if (value === undefined || value === 0 || Number.isNaN(value)) return '-';
  return `${value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2)} ${unit}`;
}

function table(results: readonly Result[]): string {
  const header = ['the same work', ...NAMES, 'bare crun', 'beside dockerd'];
  const rows = results.map((result) => [
    result.title,
    ...NAMES.map((name) => figure(result.medians[name], result.unit)),
    figure(result.medians.crun, result.unit),
    verdict(result),
  ]);
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [line(header), line(header.map(() => '---')), ...rows.map((row) => line(row))].join('\n');
}

const { groups, peers: names, json } = options(process.argv.slice(2));
await using stack = new AsyncDisposableStack();
const peers: Peer[] = [];
for (const name of names) {
  const peer = stack.use(await startPeer(name));
  await request(peer.socket, 'POST', '/v1.41/images/load?quiet=1', { body: dockerArchive([busyboxImage()]) });
  peers.push(peer);
}
const results: Result[] = [];
for (const [name, group] of Object.entries(GROUPS)) {
  if (!groups.includes(name)) continue;
  process.stderr.write(`${name} …\n`);
  const measured = await group.measure(peers);
  for (const [index, row] of group.rows.entries()) {
    const samples = measured[index] ?? {};
    const medians = Object.fromEntries(
      Object.entries(samples).map(([column, values]) => [column, median(values)]),
    );
    results.push({ ...row, medians, samples });
  }
}
process.stdout.write(`${table(results)}\n`);
if (json !== undefined) writeFileSync(json, `${JSON.stringify(results, undefined, 2)}\n`);
