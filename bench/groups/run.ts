import { columns, type Group, interleaved } from '../measure.ts';

export const run: Group = {
  rows: [
    {
      name: 'run',
      title: '`run --rm busybox true`, CLI to prompt, bridge',
      unit: 'ms',
      promise: { timesDocker: 6 },
    },
    { name: 'run-none', title: 'the same, no network', unit: 'ms' },
    { name: 'run-own', title: 'the first by the `hull` CLI', unit: 'ms' },
  ],
  measure: async (peers) => [
    await interleaved(
      12,
      columns(peers, (peer) => void peer.cli.run('run', '--rm', 'busybox', 'true')),
    ),
    await interleaved(
      8,
      columns(peers, (peer) => void peer.cli.run('run', '--rm', '--net', 'none', 'busybox', 'true')),
    ),
    await interleaved(
      12,
      columns(peers, (peer) => void peer.ownCli.run('run', '--rm', 'busybox', 'true')),
    ),
  ],
};
