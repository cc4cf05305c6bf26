import type { Command } from '../command.ts';
import { platformQuery } from './platform-query.ts';
import { SHORT_FORMAT } from '../format/format-flag.ts';
import { inspectAll } from '../format/inspect.ts';

export const command: Command = {
  usage: '[OPTIONS] IMAGE [IMAGE...]',
  flags: `
${SHORT_FORMAT}      --platform string  Inspect a specific platform of the multi-platform image.
  |If the image or the server is not multi-platform capable, the command will error out if the platform does not match.
  |'os[/arch[/variant]]': Explicit platform (eg. linux/amd64)
`,
  arguments: { min: 1 },
  async run({ flags, args, client, terminal }) {
    const platform = platformQuery(flags.string('platform'));
    await inspectAll(terminal, args, flags.string('format'), async (name) => ({
      kind: 'image',
      text: await client.text('GET', `/images/${name}/json`, { query: { platform } }),
    }));
  },
};
