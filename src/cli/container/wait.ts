import type { Command } from '../command.ts';
import { eachArgument } from '../each-argument.ts';

export const command: Command = {
  usage: 'CONTAINER [CONTAINER...]',
  arguments: { min: 1 },
  async run({ args, client, terminal }) {
    for (const name of args) {
      await eachArgument(terminal, [name], async () => {
        const answer = await client.json<{ StatusCode: number; Error?: { Message?: string } | null }>(
          'POST',
          `/containers/${name}/wait`,
        );
        if (answer.Error?.Message) throw new Error(answer.Error.Message);
        return String(answer.StatusCode);
      });
    }
  },
};
