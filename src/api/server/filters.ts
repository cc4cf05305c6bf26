import type { Filters } from '#/base/filters.ts';
import { invalid } from '#/base/errors.ts';

/**
 * The `filters` of a query: `{"label":["a=b"]}`, or `{"label":{"a=b":true}}` as clients since API 1.22 send it. Keys that are
 * not `accepted` are refused in Docker's words (moby's api/types/filters); every key is accepted without a list.
 */
export function decodeFilters(text: string, accepted?: readonly string[]): Record<string, string[]> {
  const filters: Record<string, string[]> = {};
  if (text === '') return filters;
  const parsed = parseObject(text);
  for (const [key, values] of Object.entries(parsed)) {
    if (accepted !== undefined && !accepted.includes(key)) throw invalid(`invalid filter '${key}'`);
    filters[key] = filterValues(values);
  }
  return filters;
}

function parseObject(text: string): object {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    throw invalid('invalid filter');
  }
  if (parsed === null) return {};
  if (typeof parsed !== 'object' || Array.isArray(parsed)) throw invalid('invalid filter');
  return parsed;
}

function filterValues(values: unknown): string[] {
  if (values === null) return [];
  if (Array.isArray(values)) {
    if (values.some((value) => typeof value !== 'string')) throw invalid('invalid filter');
    return values as string[];
  }
  if (typeof values !== 'object') throw invalid('invalid filter');
  const entries = Object.entries(values);
  if (entries.some(([, wanted]) => typeof wanted !== 'boolean')) throw invalid('invalid filter');
  return entries.filter(([, wanted]) => wanted === true).map(([value]) => value);
}

/** A filter that can only be true or false, given as 1, true, 0 or false; undefined when it is not given. */
export function filterFlag(filters: Filters, key: string): boolean | undefined {
  const values = filters[key] ?? [];
  if (values.length === 0) return undefined;
  const flags = new Set(values.map((value) => parseFlag(key, value)));
  if (flags.size > 1) throw invalid(`invalid filter '${key}=[${values.join(' ')}]'`);
  return flags.has(true);
}

function parseFlag(key: string, value: string): boolean {
  if (value === '1' || value === 'true') return true;
  if (value === '0' || value === 'false') return false;
  throw invalid(`invalid filter '${key}=[${value}]'`);
}
