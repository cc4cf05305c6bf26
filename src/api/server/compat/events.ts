import type { EngineEvent } from '#/state/events.ts';
import type { ApiVersion } from '../version.ts';

/** API 1.52 dropped the fields that clients before 1.22 read. */
export function adaptEvent(event: EngineEvent, version: ApiVersion): object {
  if (version.below('1.52')) return event;
  const { status: _status, id: _id, from: _from, ...rest } = event;
  return rest;
}
