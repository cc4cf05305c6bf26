import { request } from '../tests/daemons.ts';
import type { Peer } from './peers.ts';

/** Measurements by column (an engine, or "crun"), in the row's unit. */
export type Samples = Record<string, number[]>;

export interface Row {
  name: string;
  title: string;
  unit: 'ms' | 's' | 'MB' | '×';
  /** What docs/PERFORMANCE.md promises: so many times less than dockerd, at most this much, or above a bare `crun run` so many times that. */
  promise?: { timesDocker: number } | { atMost: number } | { timesCrunAbove: number };
}

/** One group measures several rows in one go; its name picks it: `npm run bench -- run exec`. */
export interface Group {
  rows: Row[];
  /** The samples of each row, in their order. */
  measure(peers: readonly Peer[]): Promise<Samples[]>;
}

export type Timed = Record<string, () => Promise<void> | void>;

/** The columns in turn, round after round, so that what else happens on the host hits all of them alike. In milliseconds. */
export async function interleaved(rounds: number, columns: Timed): Promise<Samples> {
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

export function columns(peers: readonly Peer[], run: (peer: Peer) => Promise<unknown> | void): Timed {
  return Object.fromEntries(peers.map((peer) => [peer.name, async () => void (await run(peer))]));
}

export async function seconds(run: () => Promise<unknown> | void): Promise<number> {
  const began = performance.now();
  await run();
  return (performance.now() - began) / 1000;
}

export async function eightAtATime(count: number, run: (index: number) => Promise<void>): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < count) await run(next++);
  };
  await Promise.all(Array.from({ length: 8 }, worker));
}

/** One request; its JSON answer, or {} where there is none (or a stream of them). Throws for statuses of 400 and more. */
export async function api(
  peer: Peer,
  method: string,
  url: string,
  body?: unknown,
): Promise<Record<string, unknown>> {
  const reply = await request(peer.socket, method, `/v1.41${url}`, {
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

/** Creates a container of busybox; its id. */
export async function create(peer: Peer, body: Record<string, unknown>, name?: string): Promise<string> {
  const query = name === undefined ? '' : `?name=${name}`;
  return String((await api(peer, 'POST', `/containers/create${query}`, { Image: 'busybox', ...body })).Id);
}

export async function removeAll(peer: Peer, names: readonly string[]): Promise<void> {
  // Podman waits ten seconds for each that does not heed SIGTERM, unless it is told not to.
  peer.cli.run('rm', '-f', ...(peer.name === 'podman' ? ['-t', '0'] : []), ...names);
}
