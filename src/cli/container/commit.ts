import type { Command } from '../command.ts';
import { parseImageName } from '../image/image-name.ts';

export const command: Command = {
  usage: '[OPTIONS] CONTAINER [REPOSITORY[:TAG]]',
  flags: `
  -a, --author string  Author (e.g., "John Hannibal Smith <hannibal@a-team.com>")
  -c, --change list  Apply Dockerfile instruction to the created image
  -m, --message string  Commit message
  -p, --pause  Pause container during commit (default true)
`,
  arguments: { min: 1, max: 2 },
  async run({ flags, args: [container = '', reference = ''], client, terminal }) {
    const name = reference === '' ? undefined : parseImageName(reference);
    if (name?.digest !== undefined) throw new Error('refusing to create a tag with a digest reference');
    const { Id } = await client.json<{ Id: string }>('POST', '/commit', {
      query: {
        author: flags.string('author') || undefined,
        changes: flags.list('change'),
        comment: flags.string('message') || undefined,
        container,
        pause: flags.bool('pause', true) ? undefined : '0',
        repo: name?.repository,
        tag: name?.tag,
      },
    });
    terminal.out(`${Id}\n`);
  },
};
