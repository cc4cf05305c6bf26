import type { Terminal } from '../terminal.ts';
import { alignColumns } from './table.ts';

/** One thing that a listing can show of a row: its heading, and its value, a string unless the field says otherwise. */
export interface Field<Row> {
  header: string;
  value: (row: Row, full: boolean) => unknown;
  /** Only for templates: left out of `--format json`. */
  method?: boolean;
}

/** How `ls` commands of one noun show their rows. */
export interface Listing<Row> {
  /** The name Go gives the rows' type, which its errors mention. */
  type: string;
  fields: Readonly<Record<string, Field<Row>>>;
  /** The fields of the table without `--format`. */
  table: readonly string[];
  /** The field that `-q` shows. */
  quiet: string;
  /** What a template that cannot be parsed, or run, is told with; `template parsing error` unless given. */
  complaints?: { parse: string; execute: string };
  /** `--format raw`: the fields in lines of their own, by the names they have there. */
  raw?: Readonly<Record<string, string>>;
}

export interface ListingOptions {
  format: string;
  quiet: boolean;
  /** `--no-trunc` */
  full: boolean;
}

/** Prints rows as a table, or as `--format` wants them. */
export async function printListing<Row>(
  terminal: Pick<Terminal, 'out'>,
  listing: Listing<Row>,
  rows: readonly Row[],
  options: ListingOptions,
): Promise<void> {
  const { format, quiet, full } = options;
  if (format === '' || format === 'table') {
    const names = quiet ? [listing.quiet] : listing.table;
    const lines = rows.map((row) => names.map((name) => cell(listing, name, row, full)).join('\t'));
    if (!quiet) lines.unshift(names.map((name) => listing.fields[name]?.header ?? '').join('\t'));
    terminal.out(alignColumns(lines.map((line) => `${line}\n`).join('')));
    return;
  }
  if (format === 'raw' && listing.raw) {
    const lines = Object.entries(listing.raw).map(([name, field]) => [`${name}:`, field] as const);
    for (const row of rows) {
      const text = lines.map(([name, field]) => `${name} ${cell(listing, field, row, full)}`.trimEnd());
      terminal.out(quiet ? `${text[0]}\n` : `${text.join('\n')}\n\n`);
    }
    return;
  }
  const { formatRows } = await import('./format-rows.ts');
  formatRows(terminal, listing, rows, { ...options, format });
}

function cell<Row>(listing: Listing<Row>, name: string, row: Row, full: boolean): string {
  const value = listing.fields[name]?.value(row, full);
  return typeof value === 'string' ? value : '';
}

/** Cuts to `length` columns, the last of them an ellipsis. */
export function ellipsis(text: string, length: number): string {
  const characters = Array.from(text);
  if (characters.length <= length) return text;
  return length <= 1 ? characters.slice(0, length).join('') : `${characters.slice(0, length - 1).join('')}…`;
}

/** `a=b,c=d`, in the order of keys. */
export function joinLabels(labels: Record<string, string> | null | undefined): string {
  return Object.entries(labels ?? {})
    .map(([key, value]) => `${key}=${value}`)
    .sort()
    .join(',');
}

/** The 12 characters people know an id by, whatever algorithm stands before it. */
export function truncateId(id: string): string {
  return id.replace(/^sha256:/, '').slice(0, 12);
}
