import { invalid } from '#/base/errors.ts';
import { normalizePlatform, type Platform } from '#/oci/platform.ts';
import { decodeBody } from './decoder.ts';
import type { Query } from './query.ts';

/** The platforms that a request for images names, each a JSON object (moby's daemon/server/httputils/form.go, DecodePlatform). */
export function platformParameters(query: Query, key: string): Platform[] {
  return query
    .all(key)
    .filter((text) => text !== '')
    .map((text) => {
      const { os, architecture, variant } = decodeBody('OCIPlatform', text) as Partial<Platform>;
      if (!os || !architecture) throw invalid('both OS and Architecture must be provided');
      return normalizePlatform({ os, architecture, ...(variant ? { variant } : {}) });
    });
}
