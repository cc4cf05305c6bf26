import { messageOf } from '#/base/errors.ts';
import type { Command } from '../command.ts';
import { checkOutputFile, writeOutputFile } from '../output-file.ts';

export const command: Command = {
  usage: '[OPTIONS] CONTAINER',
  flags: `
  -o, --output string  Write to a file, instead of STDOUT
`,
  arguments: { min: 1, max: 1 },
  async run({ flags, args: [container = ''], client, terminal }) {
    const output = flags.string('output');
    if (output === '' && terminal.isTerminal(1)) {
      throw new Error('cowardly refusing to save to a terminal. Use the -o flag or redirect');
    }
    if (output !== '') {
      try {
        checkOutputFile(output);
      } catch (error) {
        throw new Error(`failed to export container: ${messageOf(error)}`, { cause: error });
      }
    }
    const { body } = await client.request('GET', `/containers/${container}/export`);
    if (output !== '') await writeOutputFile(output, body);
    else for await (const chunk of body) terminal.out(chunk);
  },
};
