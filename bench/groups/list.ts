import { api, columns, create, eightAtATime, type Group, interleaved, removeAll } from '../measure.ts';

const CONTAINERS = 1000;

/** Made, not started: how long a list takes has little to do with what runs, and a thousand of dockerd's running would not fit. */
export const list: Group = {
  rows: [
    {
      name: 'ps-api',
      title: 'list of all of 1,000 containers over the API',
      unit: 'ms',
      promise: { timesDocker: 5 },
    },
    { name: 'ps', title: '`ps -a` of them, CLI to prompt', unit: 'ms' },
  ],
  measure: async (peers) => {
    const names = Array.from({ length: CONTAINERS }, (_, index) => `listed${index}`);
    for (const peer of peers) {
      await eightAtATime(CONTAINERS, async (index) => {
        await create(peer, { Cmd: ['true'], Labels: { index: String(index) } }, names[index]);
      });
    }
    try {
      return [
        await interleaved(
          10,
          columns(peers, (peer) => api(peer, 'GET', '/containers/json?all=1')),
        ),
        await interleaved(
          8,
          columns(peers, (peer) => void peer.cli.run('ps', '-a')),
        ),
      ];
    } finally {
      for (const peer of peers) await removeAll(peer, names);
    }
  },
};
