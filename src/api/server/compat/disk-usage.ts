import type { DiskUsageOptions } from '../disk-usage.ts';
import type { Query } from '../query.ts';
import type { ApiVersion } from '../version.ts';

/**
 * What a client of a version gets of `GET /system/df`: lists before API 1.52; since then sums, with the lists within them when it
 * says `verbose=1`, and beside them when it says nothing (moby's daemon/server/router/system/system_routes.go, getDiskUsage).
 */
export function diskUsageOptions(query: Query, version: ApiVersion): DiskUsageOptions {
  const types = version.below('1.42') ? [] : query.all('type');
  if (version.below('1.52')) return { types, sums: false, lists: true, items: false };
  const verbose = query.boolean('verbose');
  if (verbose === undefined) return { types, sums: true, lists: true, items: false };
  return { types, sums: true, lists: false, items: verbose };
}
