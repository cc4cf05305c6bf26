import type { Command } from '../command.ts';

export const command: Command = {
  usage: '',
  arguments: { min: 0, max: 0 },
  offline: true,
  async run({ terminal, context }) {
    terminal.out(`${context}\n`);
  },
};
