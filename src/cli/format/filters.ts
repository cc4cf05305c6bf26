/** `--filter key=value` in the form the API takes: `{"key":{"value":true}}`; undefined when there are none. */
export function encodeFilters(values: readonly string[]): string | undefined {
  const filters: Record<string, Record<string, boolean>> = {};
  for (const value of values) {
    const equals = value.indexOf('=');
    const name = value.slice(0, equals).trim().toLowerCase();
    (filters[name] ??= {})[value.slice(equals + 1).trim()] = true;
  }
  return values.length > 0 ? JSON.stringify(filters) : undefined;
}

/** Refuses a filter without its `=`. */
export function checkFilter(value: string): string {
  if (value !== '' && !value.includes('=')) throw new Error('bad format of filter (expected name=value)');
  return value;
}
