import type { Command } from '../command.ts';
import { SHORT_FORMAT } from '../format/format-flag.ts';
import { inspectAll } from '../format/inspect.ts';

export const command: Command = {
  usage: '[OPTIONS] CONTAINER [CONTAINER...]',
  flags: `
${SHORT_FORMAT}  -s, --size  Display total file sizes
`,
  arguments: { min: 1 },
  async run({ flags, args, client, terminal }) {
    await inspectAll(terminal, args, flags.string('format'), async (name) => ({
      kind: 'container',
      text: await client.text('GET', `/containers/${name}/json`, {
        query: { size: flags.bool('size') || undefined },
      }),
    }));
  },
};
