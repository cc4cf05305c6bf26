/**
 * The `filters` of the API's list calls: for each key the accepted values, any of which will do. How a value is compared
 * depends on the key; these are the four ways that Docker has (moby's api/types/filters/parse.go).
 */
export type Filters = Record<string, readonly string[]>;

function values(filters: Filters, key: string): readonly string[] {
  return Object.hasOwn(filters, key) ? (filters[key] ?? []) : [];
}

export function hasFilter(filters: Filters, key: string): boolean {
  return values(filters, key).length > 0;
}

/** Equal to one of the values, or the key is not filtered by. */
export function matchesExactly(filters: Filters, key: string, source: string): boolean {
  const wanted = values(filters, key);
  return wanted.length === 0 || wanted.includes(source);
}

/** Begins with one of the values, or the key is not filtered by. */
export function matchesPrefix(filters: Filters, key: string, source: string): boolean {
  const wanted = values(filters, key);
  return wanted.length === 0 || wanted.some((prefix) => source.startsWith(prefix));
}

/** Matches one of the values as a regular expression, or equals it when it is none, or the key is not filtered by. */
export function matchesPattern(filters: Filters, key: string, source: string): boolean {
  const wanted = values(filters, key);
  if (wanted.length === 0 || wanted.includes(source)) return true;
  return wanted.some((pattern) => {
    try {
      return new RegExp(pattern).test(source);
    } catch {
      return false;
    }
  });
}

/** Has every one of the values, each `key` or `key=value`. */
export function matchesLabels(
  filters: Filters,
  key: string,
  labels: Readonly<Record<string, string>>,
): boolean {
  return values(filters, key).every((wanted) => {
    const at = wanted.indexOf('=');
    const name = at < 0 ? wanted : wanted.slice(0, at);
    if (!Object.hasOwn(labels, name)) return false;
    return at < 0 || labels[name] === wanted.slice(at + 1);
  });
}
