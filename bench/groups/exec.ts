import { api, columns, type Group, interleaved, removeAll, type Samples } from '../measure.ts';
import type { Peer } from '../peers.ts';

const SLEEPER = 'sleeper';

async function withSleeper(
  peers: readonly Peer[],
  rounds: number,
  run: (peer: Peer) => Promise<unknown> | void,
): Promise<Samples> {
  for (const peer of peers) peer.cli.run('run', '-d', '--name', SLEEPER, 'busybox', 'sleep', '600');
  try {
    return await interleaved(rounds, columns(peers, run));
  } finally {
    for (const peer of peers) await removeAll(peer, [SLEEPER]);
  }
}

async function execOverApi(peer: Peer): Promise<void> {
  const { Id } = await api(peer, 'POST', `/containers/${SLEEPER}/exec`, {
    Cmd: ['true'],
    AttachStdout: true,
  });
  await api(peer, 'POST', `/exec/${String(Id)}/start`, { Detach: false, Tty: false });
}

export const exec: Group = {
  rows: [
    { name: 'exec', title: '`exec true` over the API', unit: 'ms', promise: { timesDocker: 2.5 } },
    { name: 'exec-cli', title: '`exec true`, CLI to prompt', unit: 'ms' },
    { name: 'exec-own', title: 'the same by the `hull` CLI', unit: 'ms' },
  ],
  measure: async (peers) => [
    await withSleeper(peers, 15, execOverApi),
    await withSleeper(peers, 12, (peer) => void peer.cli.run('exec', SLEEPER, 'true')),
    await withSleeper(peers, 12, (peer) => void peer.ownCli.run('exec', SLEEPER, 'true')),
  ],
};
