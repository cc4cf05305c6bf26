import { MULTIPLEXED_STREAM, RAW_STREAM } from '../frames.ts';
import type { ApiVersion } from '../version.ts';

/** The content type of a process's output. Clients before API 1.42 know only one name for both forms. */
export function outputMediaType(version: ApiVersion, terminal: boolean): string {
  return terminal || version.below('1.42') ? RAW_STREAM : MULTIPLEXED_STREAM;
}

/** The content type of a stream of JSON objects: what the client prefers of the names there are for it. */
export function jsonStreamMediaType(accept: string | undefined): string {
  const known = ['application/jsonl', 'application/x-ndjson', 'application/json-seq'];
  return known.find((name) => accept?.includes(name)) ?? 'application/json';
}
