import type { Command } from '../command.ts';
import { SHORT_FORMAT } from '../format/format-flag.ts';
import { inspectAll } from '../format/inspect.ts';

export const command: Command = {
  usage: '[OPTIONS] NETWORK [NETWORK...]',
  flags: `
${SHORT_FORMAT}  -v, --verbose  Verbose output for diagnostics
`,
  arguments: { min: 1 },
  async run({ flags, args, client, terminal }) {
    await inspectAll(terminal, args, flags.string('format'), async (name) => ({
      kind: 'network',
      text: await client.text('GET', `/networks/${name}`, {
        query: { verbose: flags.bool('verbose') || undefined },
      }),
    }));
  },
};
