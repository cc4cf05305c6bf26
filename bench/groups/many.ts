import { api, create, eightAtATime, type Group, removeAll, type Samples, seconds } from '../measure.ts';
import type { Peer } from '../peers.ts';

const MANY = 100;

/** Seconds to start them all, and to remove them all with one command. */
async function many(
  peers: readonly Peer[],
  start: (peer: Peer, name: string) => Promise<void>,
): Promise<Samples[]> {
  const starts: Samples = {};
  const removals: Samples = {};
  for (const peer of peers) {
    const names = Array.from({ length: MANY }, (_, index) => `many${index}`);
    starts[peer.name] = [await seconds(() => eightAtATime(MANY, (index) => start(peer, names[index] ?? '')))];
    removals[peer.name] = [await seconds(() => removeAll(peer, names))];
  }
  return [starts, removals];
}

export const manyContainers: Group = {
  rows: [
    {
      name: 'many',
      title: '100 detached containers, 8 at a time, over the API',
      unit: 's',
      promise: { timesDocker: 5 },
    },
    { name: 'many-rm', title: '`rm -f` of the 100', unit: 's', promise: { timesDocker: 5 } },
    { name: 'many-cli', title: '100 × `run -d`, 8 at a time, by the CLI', unit: 's' },
    { name: 'many-cli-rm', title: '`rm -f` of those 100', unit: 's', promise: { timesDocker: 5 } },
  ],
  measure: async (peers) => [
    ...(await many(peers, async (peer, name) => {
      await create(peer, { Cmd: ['sleep', '600'] }, name);
      await api(peer, 'POST', `/containers/${name}/start`);
    })),
    ...(await many(peers, (peer, name) =>
      peer.cli.runAsync('run', '-d', '--name', name, 'busybox', 'sleep', '600'),
    )),
  ],
};
