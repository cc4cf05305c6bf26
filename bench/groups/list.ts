import { api, columns, create, eightAtATime, type Group, interleaved, removeAll } from '../measure.ts';

const CONTAINERS = 1000;

/** Made, not started: how long a list takes has little to do with what runs, and a thousand of dockerd's running would not fit. */
export const list: Group = {
  rows: [
    {
      name: 'ps',
      title: '`ps -a` with 1,000 containers, CLI to prompt',
      unit: 'ms',
      promise: { timesDocker: 5 },
    },
    { name: 'ps-api', title: 'the same over the API', unit: 'ms', promise: { timesDocker: 5 } },
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
          8,
          columns(peers, (peer) => void peer.cli.run('ps', '-a')),
        ),
        await interleaved(
          10,
          columns(peers, (peer) => api(peer, 'GET', '/containers/json?all=1')),
        ),
      ];
    } finally {
      for (const peer of peers) await removeAll(peer, names);
    }
  },
};
