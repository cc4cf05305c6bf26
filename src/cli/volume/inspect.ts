import type { Command } from '../command.ts';
import { SHORT_FORMAT } from '../format/format-flag.ts';
import { inspectAll } from '../format/inspect.ts';

export const command: Command = {
  usage: '[OPTIONS] VOLUME [VOLUME...]',
  flags: `
${SHORT_FORMAT}`,
  arguments: { min: 1 },
  async run({ flags, args, client, terminal }) {
    await inspectAll(terminal, args, flags.string('format'), async (name) => ({
      kind: 'volume',
      text: await client.text('GET', `/volumes/${name}`),
    }));
  },
};
