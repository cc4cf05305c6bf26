import type { Command } from '../command.ts';

const KINDS = ['C', 'A', 'D'];

export const command: Command = {
  usage: 'CONTAINER',
  arguments: { min: 1, max: 1 },
  async run({ args: [container = ''], client, terminal }) {
    if (container.trim() === '') throw new Error('Container name cannot be empty');
    const path = `/containers/${container}/changes`;
    const changes = await client.json<{ Path: string; Kind: number }[] | null>('GET', path);
    for (const { Path, Kind } of changes ?? []) terminal.out(`${KINDS[Kind] ?? ''} ${Path}\n`);
  },
};
