import type { Command } from '../command.ts';
import { LIST_FORMAT } from '../format/format-flag.ts';
import { ellipsis, type Listing, printListing, truncateId } from '../format/listing.ts';
import { platformQuery } from './platform-query.ts';
import { decimalSize, humanDuration, rfc3339 } from '../format/units.ts';

interface HistoryRow {
  Id: string;
  Created: number;
  CreatedBy: string;
  Comment: string;
  Size: number;
}

function historyListing(human: boolean): Listing<HistoryRow> {
  const since = (row: HistoryRow): string =>
    row.Created <= 0 ? '' : `${humanDuration(Date.now() / 1000 - row.Created)} ago`;
  const at = (row: HistoryRow): string => (row.Created <= 0 ? '' : rfc3339(row.Created * 1000));
  return {
    type: '*image.historyContext',
    quiet: 'ID',
    table: ['ID', human ? 'CreatedSince' : 'CreatedAt', 'CreatedBy', 'Size', 'Comment'],
    fields: {
      ID: { header: 'IMAGE', value: (row, full) => (full ? row.Id : truncateId(row.Id)) },
      CreatedSince: { header: 'CREATED', value: since },
      CreatedAt: { header: 'CREATED AT', value: at },
      CreatedBy: {
        header: 'CREATED BY',
        value: (row, full) => {
          const text = row.CreatedBy.replaceAll('\t', ' ');
          return full ? text : ellipsis(text, 45);
        },
      },
      Size: { header: 'SIZE', value: (row) => (human ? decimalSize(row.Size, 3) : String(row.Size)) },
      Comment: { header: 'COMMENT', value: (row) => row.Comment },
    },
  };
}

export const command: Command = {
  usage: '[OPTIONS] IMAGE',
  flags: `
${LIST_FORMAT}
  -H, --human  Print sizes and dates in human readable format (default true)
      --no-trunc  Don't truncate output
      --platform string  Show history for the given platform. Formatted as "os[/arch[/variant]]" (e.g., "linux/amd64")
  -q, --quiet  Only show image IDs
`,
  arguments: { min: 1, max: 1 },
  async run({ flags, args, client, terminal }) {
    const [name = ''] = args;
    const rows = await client.json<HistoryRow[]>('GET', `/images/${name}/history`, {
      query: { platform: platformQuery(flags.string('platform')) },
    });
    await printListing(terminal, historyListing(flags.bool('human', true)), rows, {
      format: flags.string('format'),
      quiet: flags.bool('quiet'),
      full: flags.bool('no-trunc'),
    });
  },
};
