import type { Command } from '../command.ts';
import { alignTop } from '../format/table.ts';

export const command: Command = {
  usage: 'CONTAINER [ps OPTIONS]',
  arguments: { min: 1 },
  interspersed: false,
  async run({ args, client, terminal }) {
    const [name = '', ...psArguments] = args;
    const processes = await client.json<{ Titles: string[]; Processes: string[][] | null }>(
      'GET',
      `/containers/${name}/top`,
      { query: { ps_args: psArguments.length > 0 ? psArguments.join(' ') : undefined } },
    );
    const lines = [processes.Titles, ...(processes.Processes ?? [])].map((cells) => `${cells.join('\t')}\n`);
    terminal.out(alignTop(lines.join('')));
  },
};
