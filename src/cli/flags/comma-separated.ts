/**
 * The fields of one comma-separated record, quoted as CSV is: `a,"b=c,d",e`. What Docker's compound flags (`--mount`,
 * `--network`, `--gpus`) are written in.
 */
export function splitFields(record: string): string[] {
  const fields: string[] = [];
  let rest = record;
  // Where Go's reader of CSV points at.
  const column = (text: string): number => record.length - text.length + 1;
  for (;;) {
    if (rest.startsWith('"')) {
      let field = '';
      let at = 1;
      for (;;) {
        const quote = rest.indexOf('"', at);
        if (quote === -1)
          throw new Error(
            `parse error on line 1, column ${record.length + 1}: extraneous or missing " in quoted-field`,
          );
        field += rest.slice(at, quote);
        if (rest[quote + 1] !== '"') {
          rest = rest.slice(quote + 1);
          break;
        }
        field += '"';
        at = quote + 2;
      }
      fields.push(field);
      if (rest === '') return fields;
      if (!rest.startsWith(',')) {
        throw new Error(
          `parse error on line 1, column ${column(rest) - 1}: extraneous or missing " in quoted-field`,
        );
      }
      rest = rest.slice(1);
      continue;
    }
    const comma = rest.indexOf(',');
    const field = comma === -1 ? rest : rest.slice(0, comma);
    const bare = field.indexOf('"');
    if (bare !== -1) {
      throw new Error(`parse error on line 1, column ${column(rest) + bare}: bare " in non-quoted-field`);
    }
    fields.push(field);
    if (comma === -1) return fields;
    rest = rest.slice(comma + 1);
  }
}

/** `key=value`; undefined stands for the value when there is no `=`. */
export function splitPair(field: string): [string, string | undefined] {
  const equals = field.indexOf('=');
  return equals === -1 ? [field, undefined] : [field.slice(0, equals), field.slice(equals + 1)];
}
