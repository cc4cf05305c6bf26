import type { EngineEvent } from '#/state/events.ts';
import type { ApiVersion } from '../version.ts';

/** RFC 7464: each text begins with this. */
const RECORD_SEPARATOR = '\u001e';

/**
 * An event as one line. API 1.52 dropped the fields that clients before 1.22 read. The nanoseconds are more than a number of
 * JavaScript holds, and clients ask for events since the last one's.
 */
export function eventText(event: EngineEvent, version: ApiVersion, mediaType: string): string {
  const { timeNano, status, id, from, ...rest } = event;
  const legacy = version.below('1.52') ? { status, id, from } : {};
  const text = `${JSON.stringify({ ...legacy, ...rest }).slice(0, -1)},"timeNano":${timeNano}}\n`;
  return mediaType === 'application/json-seq' ? `${RECORD_SEPARATOR}${text}` : text;
}
