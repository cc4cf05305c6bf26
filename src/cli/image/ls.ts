import type { Command } from '../command.ts';
import { checkFilter, encodeFilters } from '../format/filters.ts';
import { LIST_FORMAT } from '../format/format-flag.ts';
import { printListing } from '../format/listing.ts';
import { imageListing, imageRows, type ImageSummary } from './image-listing.ts';

export const command: Command = {
  usage: '[OPTIONS] [REPOSITORY[:TAG]]',
  flags: `
  -a, --all  Show all images (default hides intermediate images)
      --digests  Show digests
  -f, --filter filter  Filter output based on conditions provided
${LIST_FORMAT}
      --no-trunc  Don't truncate output
  -q, --quiet  Only show image IDs
`,
  checks: { filter: checkFilter },
  arguments: { min: 0, max: 1 },
  async run({ flags, args, client, terminal, config }) {
    const filters = [...flags.list('filter'), ...args.map((name) => `reference=${name}`)];
    const quiet = flags.bool('quiet');
    const format = flags.string('format') || (quiet ? '' : (config.imagesFormat ?? ''));
    const images = await client.json<ImageSummary[]>('GET', '/images/json', {
      query: { all: flags.bool('all') || undefined, filters: encodeFilters(filters) },
    });
    const digests = flags.bool('digests');
    const rows = imageRows(images, digests || format.includes('.Digest'));
    const listing = digests
      ? { ...imageListing, table: ['Repository', 'Tag', 'Digest', 'ID', 'CreatedSince', 'Size'] }
      : imageListing;
    await printListing(terminal, listing, rows, {
      format,
      quiet,
      full: flags.bool('no-trunc'),
    });
  },
};
