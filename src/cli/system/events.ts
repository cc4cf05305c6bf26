import { jsonLines } from '#/api/client/json-lines.ts';
import type { Command } from '../command.ts';
import { checkFilter, encodeFilters } from '../format/filters.ts';
import { FORMAT } from '../format/format-flag.ts';
import { timeFlag } from '../format/time-flag.ts';
import { localTimestamp } from '../format/units.ts';

interface EventMessage {
  Type: string;
  Action: string;
  Actor: { ID: string; Attributes?: Record<string, string> | null };
  scope?: string;
  time: number;
  timeNano?: number;
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
    const print =
      format === '' ? eventLine : (await import('../format/print-document.ts')).documentPrinter(format);
    const { body } = await client.request('GET', '/events', {
      query: {
        filters: encodeFilters(flags.list('filter')),
        since: timeFlag(flags, 'since'),
        until: timeFlag(flags, 'until'),
      },
    });
    for await (const event of jsonLines<EventMessage>(body)) terminal.out(`${print(event)}\n`);
  },
};

/** `2024-05-01T12:00:00.000000000+02:00 container start ID (image=busybox, name=web)` */
function eventLine(event: EventMessage): string {
  const attributes = Object.entries(event.Actor.Attributes ?? {})
    .map(([key, value]) => `${key}=${value}`)
    .sort();
  const about = attributes.length > 0 ? ` (${attributes.join(', ')})` : '';
  return `${localTimestamp(event.time, event.timeNano)} ${event.Type} ${event.Action} ${event.Actor.ID}${about}`;
}
