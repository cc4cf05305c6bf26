import type { Command } from '../command.ts';
import { SHORT_FORMAT } from '../format/format-flag.ts';
import { inspectAll } from '../format/inspect.ts';

export const command: Command = {
  usage: '[OPTIONS] IMAGE [IMAGE...]',
  flags: `
${SHORT_FORMAT}      --platform string  Inspect a specific platform of the multi-platform image.
`,
  arguments: { min: 1 },
  async run({ flags, args, client, terminal }) {
    await inspectAll(terminal, args, flags.string('format'), async (name) => ({
      kind: 'image',
      text: await client.text('GET', `/images/${name}/json`),
    }));
  },
};
