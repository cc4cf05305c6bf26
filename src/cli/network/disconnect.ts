import type { Command } from '../command.ts';

export const command: Command = {
  usage: '[OPTIONS] NETWORK CONTAINER',
  flags: '  -f, --force  Force the container to disconnect from a network',
  arguments: { min: 2, max: 2 },
  async run({ flags, args, client }) {
    const [network = '', container = ''] = args;
    await client.text('POST', `/networks/${network}/disconnect`, {
      body: { Container: container, Force: flags.bool('force') },
    });
  },
};
