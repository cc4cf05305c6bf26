import http from 'node:http';

import { sleep } from '../../tests/daemons.ts';
import { api, create, type Group, removeAll, type Samples } from '../measure.ts';
import type { Peer } from '../peers.ts';

const CONTAINERS = 10;
const LOG_FOLLOWERS = 200;
const STATS_STREAMS = 100;
const ROUNDS = 200;
const PAUSE_MS = 20;

/** A request whose answer is read and thrown away until it is destroyed. */
function follow(peer: Peer, url: string): Promise<http.ClientRequest> {
  return new Promise((resolve, reject) => {
    const request = http.get({ socketPath: peer.socket, path: `/v1.41${url}`, agent: false }, (response) => {
      response.resume();
      response.on('error', () => {});
      resolve(request);
    });
    request.on('error', reject);
  });
}

async function slowest(run: () => Promise<unknown>): Promise<number> {
  let worst = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const began = performance.now();
    await run();
    worst = Math.max(worst, performance.now() - began);
    await sleep(PAUSE_MS);
  }
  return worst;
}

/** While all those streams are served. */
async function underLoad(peer: Peer): Promise<[list: number, inspect: number]> {
  const names = Array.from({ length: CONTAINERS }, (_, index) => `noisy${index}`);
  const streams: http.ClientRequest[] = [];
  try {
    for (const name of names) {
      await create(peer, { Cmd: ['sh', '-c', 'while :; do echo a line of output; sleep 0.1; done'] }, name);
      await api(peer, 'POST', `/containers/${name}/start`);
    }
    for (let index = 0; index < LOG_FOLLOWERS; index++) {
      streams.push(await follow(peer, `/containers/${names[index % CONTAINERS]}/logs?follow=1&stdout=1`));
    }
    for (let index = 0; index < STATS_STREAMS; index++) {
      streams.push(await follow(peer, `/containers/${names[index % CONTAINERS]}/stats`));
    }
    return [
      await slowest(() => api(peer, 'GET', '/containers/json')),
      await slowest(() => api(peer, 'GET', `/containers/${names[0]}/json`)),
    ];
  } finally {
    for (const stream of streams) stream.destroy();
    await removeAll(peer, names);
  }
}

export const followers: Group = {
  rows: [
    {
      name: 'list-followed',
      title: 'slowest of 200 lists while 200 log followers and 100 stats streams run',
      unit: 'ms',
      promise: { atMost: 50 },
    },
    {
      name: 'inspect-followed',
      title: 'slowest of 200 inspects meanwhile',
      unit: 'ms',
      promise: { atMost: 50 },
    },
  ],
  measure: async (peers) => {
    const lists: Samples = {};
    const inspects: Samples = {};
    // Podman's service is no daemon that many streams are asked of.
    for (const peer of peers.filter(({ name }) => name !== 'podman')) {
      const [list, inspect] = await underLoad(peer);
      lists[peer.name] = [list];
      inspects[peer.name] = [inspect];
    }
    return [lists, inspects];
  },
};
