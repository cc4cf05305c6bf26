import { documentLines } from '#/api/client/json-lines.ts';
import type { Command } from '../command.ts';
import type { FlagSet } from '../flags/flag-set.ts';
import { checkFilter, encodeFilters } from '../format/filters.ts';
import { FORMAT } from '../format/format-flag.ts';
import { parseDocument } from '../format/parse-document.ts';
import { parseTimeFlag } from '../format/time-flag.ts';
import { localTimestamp } from '../format/units.ts';
import { display, type Value } from '#/template/values.ts';

interface EventMessage {
  Type: string;
  Action: string;
  Actor: { ID: string; Attributes?: Record<string, string> | null };
  time: number;
  timeNano?: Value;
}

export const command: Command = {
  usage: '[OPTIONS]',
  flags: `
  -f, --filter filter  Filter output based on conditions provided
${FORMAT}
      --since string  Show all events created since timestamp
      --until string  Stream events until this timestamp
`,
  checks: { filter: checkFilter },
  arguments: { min: 0, max: 0 },
  async run({ flags, client, terminal }) {
    const format = flags.string('format');
    const print = format === '' ? eventLine : await formatted(format);
    const { body } = await client.request('GET', '/events', {
      query: {
        filters: encodeFilters(flags.list('filter')),
        since: moment(flags, 'since'),
        until: moment(flags, 'until'),
      },
    });
    for await (const line of documentLines(body)) terminal.out(`${print(parseDocument(line))}\n`);
  },
};

function moment(flags: FlagSet, name: string): string | undefined {
  return flags.changed(name) ? parseTimeFlag(flags.string(name)) : undefined;
}

async function formatted(format: string): Promise<(event: Value) => string> {
  const { documentPrinter } = await import('../format/print-document.ts');
  return documentPrinter(format, {
    type: '*events.Message',
    structs: { Actor: 'events.Actor' },
    absent: { status: '', id: '', from: '', scope: '', timeNano: 0 },
    complaint: 'Error parsing format',
  });
}

/** `2024-05-01T12:00:00.000000000+02:00 container start ID (image=busybox, name=web)` */
function eventLine(document: Value): string {
  const event = document as EventMessage;
  const attributes = Object.entries(event.Actor.Attributes ?? {})
    .map(([key, value]) => `${key}=${value}`)
    .sort();
  const about = attributes.length > 0 ? ` (${attributes.join(', ')})` : '';
  const nanos = event.timeNano === undefined ? `${event.time}000000000` : display(event.timeNano);
  return `${localTimestamp(event.time, nanos)} ${event.Type} ${event.Action} ${event.Actor.ID}${about}`;
}
