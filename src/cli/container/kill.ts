import type { Command } from '../command.ts';
import { eachArgument } from '../each-argument.ts';

export const command: Command = {
  usage: '[OPTIONS] CONTAINER [CONTAINER...]',
  flags: '  -s, --signal string  Signal to send to the container',
  arguments: { min: 1 },
  async run({ flags, args, client, terminal }) {
    const query = { signal: flags.string('signal') || undefined };
    await eachArgument(terminal, args, async (name) => {
      await client.text('POST', `/containers/${name}/kill`, { query });
      return name;
    });
  },
};
