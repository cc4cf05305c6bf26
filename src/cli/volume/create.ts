import type { Command } from '../command.ts';
import { keyValueMap } from '../flags/key-values.ts';

export const command: Command = {
  usage: '[OPTIONS] [VOLUME]',
  flags: `
  -d, --driver string  Specify volume driver name (default "local")
      --label list  Set metadata for a volume
  -o, --opt map  Set driver specific options (default map[])
`,
  hiddenFlags: '--name string',
  arguments: { min: 0, max: 1 },
  async run({ flags, args, client, terminal }) {
    const options = keyValueMap(flags.list('opt'));
    const volume = await client.json<{ Name: string }>('POST', '/volumes/create', {
      body: {
        Driver: flags.string('driver', 'local'),
        ...(Object.keys(options).length > 0 && { DriverOpts: options }),
        Labels: keyValueMap(flags.list('label')),
        Name: args[0] ?? flags.string('name'),
      },
    });
    terminal.out(`${volume.Name}\n`);
  },
};
