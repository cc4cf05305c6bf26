import { messageOf } from '#/base/errors.ts';
import type { Command } from '../command.ts';
import { checkOutputFile, writeOutputFile } from '../output-file.ts';
import { platformQuery } from './platform-query.ts';

export const command: Command = {
  usage: '[OPTIONS] IMAGE [IMAGE...]',
  flags: `
  -o, --output string  Write to a file, instead of STDOUT
      --platform string  Save only the given platform variant. Formatted as "os[/arch[/variant]]" (e.g., "linux/amd64")
`,
  arguments: { min: 1 },
  async run({ flags, args, client, terminal }) {
    const output = flags.string('output');
    if (output === '' && terminal.isTerminal(1)) {
      throw new Error('cowardly refusing to save to a terminal. Use the -o flag or redirect');
    }
    if (output !== '') {
      try {
        checkOutputFile(output);
      } catch (error) {
        throw new Error(`failed to save image: ${messageOf(error)}`, { cause: error });
      }
    }
    const { body } = await client.request('GET', '/images/get', {
      query: { names: args, platform: platformQuery(flags.string('platform')) },
    });
    if (output !== '') await writeOutputFile(output, body);
    else for await (const chunk of body) terminal.out(chunk);
  },
};
