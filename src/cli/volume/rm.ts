import type { Command } from '../command.ts';
import { eachArgument } from '../each-argument.ts';

export const command: Command = {
  usage: '[OPTIONS] VOLUME [VOLUME...]',
  long: 'Remove one or more volumes. You cannot remove a volume that is in use by a container.',
  flags: '  -f, --force  Force the removal of one or more volumes',
  arguments: { min: 1 },
  async run({ flags, args, client, terminal }) {
    const query = { force: flags.bool('force') || undefined };
    await eachArgument(terminal, args, async (name) => {
      await client.text('DELETE', `/volumes/${name}`, { query });
      return name;
    });
  },
};
