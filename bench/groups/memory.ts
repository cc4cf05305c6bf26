import { sleep } from '../../tests/daemons.ts';
import { api, create, type Group, type Samples } from '../measure.ts';
import { type Peer, procField } from '../peers.ts';
import { pss } from '../proportional-memory.ts';

const IDLE = 20;

async function monitorMemory(peers: readonly Peer[]): Promise<Samples> {
  const perContainer: Samples = {};
  for (const peer of peers) {
    const ids: string[] = [];
    for (let index = 0; index < IDLE; index++) {
      const id = await create(peer, { Cmd: ['sleep', '600'] });
      await api(peer, 'POST', `/containers/${id}/start`);
      ids.push(id);
    }
    await sleep(1000);
    const monitors = new Set<number>();
    for (const id of ids) {
      const { State } = await api(peer, 'GET', `/containers/${id}/json`);
      const { Pid } = State as { Pid: number };
      monitors.add(Number(procField(Pid, 'PPid')));
    }
    const total = [...monitors].filter((pid) => pid > 1).reduce((sum, pid) => sum + pss(pid), 0);
    perContainer[peer.name] = [total / IDLE / 1e6];
    await Promise.all(ids.map((id) => api(peer, 'DELETE', `/containers/${id}?force=1`)));
  }
  return perContainer;
}

export const memory: Group = {
  rows: [
    { name: 'rest', title: 'daemon at rest, RSS', unit: 'MB', promise: { atMost: 90 } },
    { name: 'idle', title: 'monitor of an idle container, PSS', unit: 'MB', promise: { atMost: 1 } },
  ],
  measure: async (peers) => {
    // At rest: what starting and loading the image needed has been given back (src/main/idle-memory.ts takes five seconds).
    await sleep(6000);
    const rest = Object.fromEntries(peers.map((peer) => [peer.name, [peer.daemonMemory() / 1e6]]));
    return [rest, await monitorMemory(peers)];
  },
};
