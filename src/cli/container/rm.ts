import { ApiError } from '#/api/client/api-client.ts';
import type { Command } from '../command.ts';
import { eachArgument } from '../each-argument.ts';

export const command: Command = {
  usage: '[OPTIONS] CONTAINER [CONTAINER...]',
  flags: `
  -f, --force  Force the removal of a running container (uses SIGKILL)
  -l, --link  Remove the specified link
  -v, --volumes  Remove anonymous volumes associated with the container
`,
  arguments: { min: 1 },
  async run({ flags, args, client, terminal }) {
    const force = flags.bool('force');
    const query = {
      force: force || undefined,
      link: flags.bool('link') || undefined,
      v: flags.bool('volumes') || undefined,
    };
    await eachArgument(terminal, args, async (argument) => {
      const name = argument.replace(/^\/+/, '');
      if (name === '') throw new Error('container name cannot be empty');
      try {
        await client.text('DELETE', `/containers/${name}`, { query });
      } catch (error) {
        // With --force, what is not there is as removed as was wished; it is told all the same.
        if (!(force && error instanceof ApiError && error.status === 404)) throw error;
        terminal.err(`${error.message}\n`);
        return undefined;
      }
      return argument;
    });
  },
};
