import type { Command } from '../command.ts';
import { checkFilter, encodeFilters } from '../format/filters.ts';
import { LIST_FORMAT } from '../format/format-flag.ts';
import { printListing } from '../format/listing.ts';
import { containerListing, type ContainerRow } from './container-listing.ts';

export const command: Command = {
  usage: '[OPTIONS]',
  flags: `
  -a, --all  Show all containers (default shows just running)
  -f, --filter filter  Filter output based on conditions provided
${LIST_FORMAT}
  -n, --last int  Show n last created containers (includes all states) (default -1)
  -l, --latest  Show the latest created container (includes all states)
      --no-trunc  Don't truncate output
  -q, --quiet  Only display container IDs
  -s, --size  Display total file sizes
`,
  checks: { filter: checkFilter },
  arguments: { min: 0, max: 0 },
  async run({ flags, client, terminal, config }) {
    const quiet = flags.bool('quiet');
    const format = flags.string('format') || (quiet ? '' : (config.psFormat ?? ''));
    // Sizes cost the daemon a walk over files: only for who shows them.
    const size = flags.bool('size') || /\.Size\b|json \.\s*\}/.test(format);
    const last = flags.number('last', -1);
    const limit = flags.bool('latest') && last === -1 ? 1 : last;
    const rows = await client.json<ContainerRow[]>('GET', '/containers/json', {
      query: {
        all: flags.bool('all') || undefined,
        limit: limit > 0 ? limit : undefined,
        size: size || undefined,
        filters: encodeFilters(flags.list('filter')),
      },
    });
    if (format !== '' && quiet) {
      terminal.err('WARNING: Ignoring custom format, because both --format and --quiet are set.\n');
    }
    const listing = flags.bool('size')
      ? { ...containerListing, table: [...containerListing.table, 'Size'] }
      : containerListing;
    await printListing(terminal, listing, rows, {
      format: quiet ? '' : format,
      quiet,
      full: flags.bool('no-trunc'),
    });
  },
};
