import type { Command } from '../command.ts';
import { configDirectory, writeCurrentContext } from '../config/client-config.ts';
import { readContext } from '../config/contexts.ts';
import { overridingVariable } from './overriding-variable.ts';

export const command: Command = {
  usage: 'CONTEXT',
  arguments: { min: 1, max: 1 },
  offline: true,
  async run({ args: [name = ''], terminal, env }) {
    const directory = configDirectory(env);
    if (name !== 'default') readContext(directory, name);
    writeCurrentContext(directory, name === 'default' ? undefined : name);
    terminal.out(`${name}\n`);
    const variable = overridingVariable(env);
    if (variable !== undefined && name !== 'default') {
      terminal.err(
        `Warning: ${variable} environment variable overrides the active context. To use ${JSON.stringify(name)}, either set the global --context flag, or unset ${variable} environment variable.\n`,
      );
    }
    terminal.err(`Current context is now ${JSON.stringify(name)}\n`);
  },
};
