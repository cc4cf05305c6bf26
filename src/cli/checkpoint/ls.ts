import type { Command } from '../command.ts';
import { type Listing, printListing } from '../format/listing.ts';

interface CheckpointRow {
  Name: string;
}

const checkpointListing: Listing<CheckpointRow> = {
  type: '*checkpoint.checkpointContext',
  quiet: 'Name',
  table: ['Name'],
  fields: { Name: { header: 'CHECKPOINT NAME', value: (row) => row.Name } },
};

export const command: Command = {
  usage: '[OPTIONS] CONTAINER',
  flags: '      --checkpoint-dir string  Use a custom checkpoint storage directory',
  arguments: { min: 1, max: 1 },
  async run({ flags, args: [container = ''], client, terminal }) {
    const rows = await client.json<CheckpointRow[] | null>('GET', `/containers/${container}/checkpoints`, {
      query: { dir: flags.string('checkpoint-dir') || undefined },
    });
    await printListing(terminal, checkpointListing, rows ?? [], { format: '', quiet: false, full: true });
  },
};
