import type { Command } from '../command.ts';

export const command: Command = {
  usage: '[OPTIONS] CONTAINER CHECKPOINT',
  flags: '      --checkpoint-dir string  Use a custom checkpoint storage directory',
  arguments: { min: 2, max: 2 },
  async run({ flags, args: [container = '', checkpoint = ''], client }) {
    await client.text('DELETE', `/containers/${container}/checkpoints/${checkpoint}`, {
      query: { dir: flags.string('checkpoint-dir') || undefined },
    });
  },
};
