import type { Command } from '../command.ts';
import { checkLabel, keyValueMap } from '../flags/key-values.ts';

export const command: Command = {
  usage: '[OPTIONS] [VOLUME]',
  flags: `
  -d, --driver string  Specify volume driver name (default "local")
      --label list  Set metadata for a volume
  -o, --opt map  Set driver specific options (default map[])
`,
  hiddenFlags: '--name string',
  checks: { label: checkLabel },
  arguments: { min: 0, max: 1 },
  async run({ flags, args, client, terminal }) {
    if (args[0] !== undefined && flags.changed('name')) {
      throw new Error(
        'conflicting options: cannot specify a volume-name through both --name and as a positional arg',
      );
    }
    const name = args[0] ?? flags.string('name');
    const labels = keyValueMap(flags.list('label'));
    const options = keyValueMap(flags.list('opt'));
    const volume = await client.json<{ Name: string }>('POST', '/volumes/create', {
      body: {
        Driver: flags.string('driver', 'local'),
        ...(Object.keys(options).length > 0 && { DriverOpts: options }),
        ...(Object.keys(labels).length > 0 && { Labels: labels }),
        ...(name !== '' && { Name: name }),
      },
    });
    terminal.out(`${volume.Name}\n`);
  },
};
