import type { Command } from '../command.ts';

export const command: Command = {
  usage: '[OPTIONS] CONTAINER CHECKPOINT',
  flags: `
      --checkpoint-dir string  Use a custom checkpoint storage directory
      --leave-running  Leave the container running after checkpoint
`,
  arguments: { min: 2, max: 2 },
  async run({ flags, args: [container = '', checkpoint = ''], client, terminal }) {
    await client.text('POST', `/containers/${container}/checkpoints`, {
      body: {
        CheckpointID: checkpoint,
        CheckpointDir: flags.string('checkpoint-dir'),
        Exit: !flags.bool('leave-running'),
      },
    });
    terminal.out(`${checkpoint}\n`);
  },
};
