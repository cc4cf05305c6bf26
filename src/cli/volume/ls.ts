import type { Command } from '../command.ts';
import { checkFilter, encodeFilters } from '../format/filters.ts';
import { LIST_FORMAT } from '../format/format-flag.ts';
import { naturalOrder } from '../format/natural-order.ts';
import { printListing } from '../format/listing.ts';
import { volumeListing, type VolumeRow } from './volume-listing.ts';

export const command: Command = {
  usage: '[OPTIONS]',
  flags: `
  -f, --filter filter  Provide filter values (e.g. "dangling=true")
${LIST_FORMAT}
  -q, --quiet  Only display volume names
`,
  checks: { filter: checkFilter },
  arguments: { min: 0, max: 0 },
  async run({ flags, client, terminal, config }) {
    const quiet = flags.bool('quiet');
    const { Volumes } = await client.json<{ Volumes: VolumeRow[] | null }>('GET', '/volumes', {
      query: { filters: encodeFilters(flags.list('filter')) },
    });
    const rows = (Volumes ?? []).toSorted((a, b) => naturalOrder(a.Name, b.Name));
    await printListing(terminal, volumeListing, rows, {
      format: flags.string('format') || (quiet ? '' : (config.volumesFormat ?? '')),
      quiet,
      full: true,
    });
  },
};
