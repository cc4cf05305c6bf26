import type { Command } from '../command.ts';
import { eachArgument } from '../each-argument.ts';

export const command: Command = {
  usage: 'CONTAINER [CONTAINER...]',
  arguments: { min: 1 },
  async run({ args, client, terminal }) {
    await eachArgument(terminal, args, async (name) => {
      await client.text('POST', `/containers/${name}/pause`);
      return name;
    });
  },
};
