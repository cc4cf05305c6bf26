import { messageOf } from '#/base/errors.ts';
import { type Command, StatusError } from '../command.ts';

export const command: Command = {
  usage: 'CONTAINER [CONTAINER...]',
  arguments: { min: 1 },
  async run({ args, client, terminal }) {
    const failures: string[] = [];
    // One after the other: each code is told as soon as it is known, in the order of the names.
    for (const name of args) {
      try {
        const { StatusCode } = await client.json<{ StatusCode: number }>('POST', `/containers/${name}/wait`);
        terminal.out(`${StatusCode}\n`);
      } catch (error) {
        failures.push(messageOf(error));
      }
    }
    if (failures.length > 0) throw new StatusError(failures.join('\n'), 1);
  },
};
