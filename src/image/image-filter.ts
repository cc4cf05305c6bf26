import { invalid } from '#/base/errors.ts';
import { type Filters, matchesLabels } from '#/base/filters.ts';
import { parseTimestamp, parseUnixTime } from '#/base/time.ts';
import type { Reference } from '#/oci/reference.ts';
import type { ImageRecord, ImageRecords } from './image-records.ts';
import { compileReferencePattern, matchesReferencePattern } from './reference-pattern.ts';

/** An image with the names that point at it. */
export interface NamedImage {
  image: ImageRecord;
  references: Reference[];
}

/** Refuses a key that the call does not know, in Docker's words. */
export function checkFilterKeys(filters: Filters, known: readonly string[]): void {
  for (const key of Object.keys(filters)) {
    if (!known.includes(key)) throw invalid(`invalid filter '${key}'`);
  }
}

/** A filter that is true or false; `fallback` when it is not given. Throws `invalid` in Docker's words. */
export function booleanFilter<T>(filters: Filters, key: string, fallback: T): boolean | T {
  const values = filters[key];
  if (values === undefined || values.length === 0) return fallback;
  if (values.every((value) => value === '1' || value === 'true')) return true;
  if (values.every((value) => value === '0' || value === 'false')) return false;
  throw invalid(`invalid filter '${key}=[${values.join(' ')}]'`);
}

/** Images made within the filters `before`, `since` and `until`, with the labels of `label` and without those of `label!`. */
export function imageFilter(records: ImageRecords, filters: Filters): (image: ImageRecord) => boolean {
  const bounds = (key: string): bigint[] =>
    (filters[key] ?? []).map((name) => createdNanos(records.resolve(name)));
  const before = bounds('before');
  const since = bounds('since');
  const until = (filters['until'] ?? []).map(parseUnixTime);
  if (until.length > 1) throw invalid('more than one until filter specified');
  return (image) => {
    const created = createdNanos(image);
    const labels = image.config.config?.Labels ?? {};
    return (
      before.every((bound) => created < bound) &&
      since.every((bound) => created > bound) &&
      until.every((bound) => created <= bound) &&
      matchesLabels(filters, 'label', labels) &&
      ((filters['label!'] ?? []).length === 0 || !matchesLabels(filters, 'label!', labels))
    );
  };
}

/** The references that the filter `reference` wants; all of them without it. */
export function wantedReferences(filters: Filters, references: readonly Reference[]): Reference[] {
  const wanted = filters['reference'] ?? [];
  if (wanted.length === 0) return [...references];
  const patterns = wanted.map(compileReferencePattern);
  return references.filter((reference) =>
    patterns.some((pattern) => matchesReferencePattern(pattern, reference)),
  );
}

function createdNanos(image: ImageRecord): bigint {
  return parseTimestamp(image.config.created ?? '') ?? 0n;
}
