import type { Command } from '../command.ts';
import { configDirectory } from '../config/client-config.ts';
import { listContexts } from '../config/contexts.ts';
import { DEFAULT_HOST } from '../config/endpoint-choice.ts';
import { LIST_FORMAT } from '../format/format-flag.ts';
import { type Listing, printListing } from '../format/listing.ts';
import { overridingVariable } from './overriding-variable.ts';

interface ContextRow {
  name: string;
  description: string;
  host: string;
  current: boolean;
}

const contextListing: Listing<ContextRow> = {
  type: '*formatter.clientContextContext',
  quiet: 'Name',
  table: ['Marked', 'Description', 'DockerEndpoint', 'Error'],
  fields: {
    Marked: { header: 'NAME', value: (row) => `${row.name}${row.current ? ' *' : ''}`, method: true },
    Current: { header: 'CURRENT', value: (row) => row.current },
    Description: { header: 'DESCRIPTION', value: (row) => row.description },
    DockerEndpoint: { header: 'DOCKER ENDPOINT', value: (row) => row.host },
    Error: { header: 'ERROR', value: () => '' },
    Name: { header: 'NAME', value: (row) => row.name },
  },
};

export const command: Command = {
  usage: '[OPTIONS]',
  flags: `
${LIST_FORMAT}
  -q, --quiet  Only show context names
`,
  arguments: { min: 0, max: 0 },
  offline: true,
  async run({ flags, terminal, env, context }) {
    const defaultHost = env['HULL_HOST'] || env['DOCKER_HOST'] || DEFAULT_HOST;
    const rows = [
      { name: 'default', description: 'Current DOCKER_HOST based configuration', host: defaultHost },
      ...listContexts(configDirectory(env)),
    ].map((row) => ({ ...row, current: row.name === context }));
    await printListing(terminal, contextListing, rows, {
      format: flags.string('format'),
      quiet: flags.bool('quiet'),
      full: true,
    });
    const variable = overridingVariable(env);
    if (variable !== undefined && !flags.bool('quiet')) {
      terminal.err(
        `Warning: ${variable} environment variable overrides the active context. To use a context, either set the global --context flag, or unset ${variable} environment variable.\n`,
      );
    }
  },
};
