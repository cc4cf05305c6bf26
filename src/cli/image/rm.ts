import { ApiError } from '#/api/client/api-client.ts';
import { messageOf } from '#/base/errors.ts';
import { type Command, StatusError } from '../command.ts';
import { platformQuery } from './platform-query.ts';
import { type DeletedImage, deletedImages } from './deleted-images.ts';

export const command: Command = {
  usage: '[OPTIONS] IMAGE [IMAGE...]',
  flags: `
  -f, --force  Force removal of the image
      --no-prune  Do not delete untagged parents
      --platform strings  Remove only the given platform variant. Formatted as "os[/arch[/variant]]" (e.g., "linux/amd64")
`,
  arguments: { min: 1 },
  async run({ flags, args, client, terminal }) {
    const query = {
      force: flags.bool('force') || undefined,
      platforms: flags.list('platform').map((platform) => platformQuery(platform) ?? ''),
      noprune: flags.bool('no-prune') || undefined,
    };
    const failures: string[] = [];
    let fatal = false;
    for (const name of args) {
      try {
        terminal.out(
          deletedImages(await client.json<DeletedImage[]>('DELETE', `/images/${name}`, { query })),
        );
      } catch (error) {
        if (!(error instanceof ApiError && error.status === 404)) fatal = true;
        failures.push(messageOf(error));
      }
    }
    if (failures.length === 0) return;
    // With --force, images that are not there are told and forgiven.
    if (fatal || !flags.bool('force')) throw new StatusError(failures.join('\n'), 1);
    terminal.err(`${failures.join('\n')}\n`);
  },
};
