import type { Command } from '../command.ts';

export const command: Command = {
  usage: '--isolation WALL CONTAINER',
  long: `Put a stopped container behind the other wall

It keeps its id, name, settings, volumes and all that it wrote`,
  flags: `
      --isolation string  "container" for the host's kernel, "vm" for one of its own
`,
  arguments: { min: 1, max: 1 },
  async run({ flags, args, client, terminal }) {
    const [name = ''] = args;
    const isolation = flags.string('isolation');
    if (isolation === '') throw new Error('--isolation must say "container" or "vm"');
    await client.text('POST', `/hull/containers/${name}/convert`, {
      query: { isolation },
      unversioned: true,
    });
    terminal.out(`${name}\n`);
  },
};
