import type { Command } from '../command.ts';
import { checkFilter, encodeFilters } from '../format/filters.ts';
import { LIST_FORMAT } from '../format/format-flag.ts';
import { joinLabels, type Listing, printListing, truncateId } from '../format/listing.ts';
import { naturalOrder } from '../format/natural-order.ts';
import { goTime } from '../format/units.ts';

interface NetworkRow {
  Id: string;
  Name: string;
  Driver: string;
  Scope: string;
  Created?: string;
  EnableIPv4?: boolean;
  EnableIPv6?: boolean;
  Internal?: boolean;
  Labels?: Record<string, string> | null;
}

const networkListing: Listing<NetworkRow> = {
  type: '*network.networkContext',
  quiet: 'ID',
  table: ['ID', 'Name', 'Driver', 'Scope'],
  raw: { network_id: 'ID', name: 'Name', driver: 'Driver', scope: 'Scope' },
  fields: {
    ID: { header: 'NETWORK ID', value: (row, full) => (full ? row.Id : truncateId(row.Id)) },
    Name: { header: 'NAME', value: (row) => row.Name },
    Driver: { header: 'DRIVER', value: (row) => row.Driver },
    Scope: { header: 'SCOPE', value: (row) => row.Scope },
    IPv4: { header: 'IPV4', value: (row) => String(row.EnableIPv4 ?? false) },
    IPv6: { header: 'IPV6', value: (row) => String(row.EnableIPv6 ?? false) },
    Internal: { header: 'INTERNAL', value: (row) => String(row.Internal ?? false) },
    Labels: { header: 'LABELS', value: (row) => joinLabels(row.Labels) },
    Label: { header: '', value: (row) => (name: string) => row.Labels?.[name] ?? '', method: true },
    CreatedAt: { header: 'CREATED AT', value: (row) => goTime(row.Created ?? '') },
  },
};

export const command: Command = {
  usage: '[OPTIONS]',
  flags: `
  -f, --filter filter  Provide filter values (e.g. "driver=bridge")
${LIST_FORMAT}
      --no-trunc  Do not truncate the output
  -q, --quiet  Only display network IDs
`,
  checks: { filter: checkFilter },
  arguments: { min: 0, max: 0 },
  async run({ flags, client, terminal, config }) {
    const quiet = flags.bool('quiet');
    const networks = await client.json<NetworkRow[] | null>('GET', '/networks', {
      query: { filters: encodeFilters(flags.list('filter')) },
    });
    const rows = (networks ?? []).toSorted((a, b) => naturalOrder(a.Name, b.Name));
    await printListing(terminal, networkListing, rows, {
      format: flags.string('format') || (quiet ? '' : (config.networksFormat ?? '')),
      quiet,
      full: flags.bool('no-trunc'),
    });
  },
};
