import { invalid } from './errors.ts';
import type { Filters } from './filters.ts';
import { parseUnixTime } from './time.ts';

/** The moment, in nanoseconds since 1970, that a prune's filter `until` names; what was made later stays. */
export function untilFilter(filters: Filters): bigint | undefined {
  const [value, ...more] = filters['until'] ?? [];
  if (more.length > 0) throw invalid('more than one until filter specified');
  return value === undefined ? undefined : parseUnixTime(value);
}
