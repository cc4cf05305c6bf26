import { BareCrun } from '../bare-crun.ts';
import { api as request, columns, create, type Group, interleaved } from '../measure.ts';
import type { Peer } from '../peers.ts';

/** create, start, wait and remove over the API, as a test suite does it. */
async function whole(peer: Peer, hostConfig: Record<string, unknown> = {}): Promise<void> {
  const id = await create(peer, { Cmd: ['true'], HostConfig: hostConfig });
  await request(peer, 'POST', `/containers/${id}/start`);
  await request(peer, 'POST', `/containers/${id}/wait`);
  await request(peer, 'DELETE', `/containers/${id}`);
}

/** 15 ms on a host that takes 12 ms for a bare run, which is where they were promised; in proportion on a slower one. */
const ABOVE_CRUN = 15 / 12;

export const api: Group = {
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
      promise: { timesCrunAbove: ABOVE_CRUN },
    },
  ],
  measure: async (peers) => {
    using crun = new BareCrun();
    const bridge = await interleaved(15, { ...columns(peers, whole), crun: () => crun.run() });
    const none = await interleaved(
      10,
      columns(peers, (peer) => whole(peer, { NetworkMode: 'none' })),
    );
    return [bridge, none, { hull: bridge.hull ?? [], crun: bridge.crun ?? [] }];
  },
};
