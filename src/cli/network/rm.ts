import { ApiError } from '#/api/client/api-client.ts';
import { messageOf } from '#/base/errors.ts';
import { type Command, StatusError } from '../command.ts';

export const command: Command = {
  usage: 'NETWORK [NETWORK...]',
  flags: '  -f, --force  Do not error if the network does not exist',
  arguments: { min: 1 },
  async run({ flags, args, client, terminal }) {
    let code = 0;
    for (const name of args) {
      try {
        await client.text('DELETE', `/networks/${name}`);
        terminal.out(`${name}\n`);
      } catch (error) {
        if (flags.bool('force') && error instanceof ApiError && error.status === 404) continue;
        terminal.err(`${messageOf(error)}\n`);
        code = 1;
      }
    }
    // Docker says the code itself too.
    if (code !== 0) throw new StatusError(`exit status ${code}`, code);
  },
};
