import type { Command } from '../command.ts';
import { eachArgument } from '../each-argument.ts';

export const command: Command = {
  usage: '[OPTIONS] CONTAINER [CONTAINER...]',
  flags: `
  -s, --signal string  Signal to send to the container
  -t, --timeout int  Seconds to wait before killing the container
`,
  hiddenFlags: '--time int',
  arguments: { min: 1 },
  async run({ flags, args, client, terminal }) {
    const given = flags.changed('timeout') ? 'timeout' : 'time';
    if (flags.changed('timeout') && flags.changed('time')) {
      throw new Error('conflicting options: cannot specify both --timeout and --time');
    }
    if (flags.changed('time')) terminal.out('Flag --time has been deprecated, use --timeout instead\n');
    const query = {
      signal: flags.string('signal') || undefined,
      t: flags.changed(given) ? flags.number(given) : undefined,
    };
    await eachArgument(terminal, args, async (name) => {
      await client.text('POST', `/containers/${name}/stop`, { query });
      return name;
    });
  },
};
