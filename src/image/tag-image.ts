import { familiarReference } from '#/oci/reference.ts';
import type { EventLog } from '#/state/events.ts';
import { publishImageEvent } from './image-events.ts';
import { type ImageRecords, parseNewName } from './image-records.ts';

/** Points `name` at an image, away from the one that it may have pointed at. Throws as Docker does. */
export function tagImage(records: ImageRecords, events: EventLog, image: string, name: string): void {
  const reference = parseNewName(name);
  const record = records.resolve(image);
  records.point(reference, record.id);
  publishImageEvent(events, 'tag', record, familiarReference(reference));
}
