import { messageOf } from '#/base/errors.ts';
import type { Terminal } from '../terminal.ts';
import { compileTemplate, type Template } from '#/template/evaluate.ts';
import { type GoStruct, jsonObject, type Value } from '#/template/values.ts';
import type { Listing, ListingOptions } from './listing.ts';
import { alignColumns } from './table.ts';

const DEFAULT_COMPLAINTS = { parse: 'template parsing error', execute: 'template parsing error' };

/** Prints rows through `--format`: `json`, `table TEMPLATE` or a template; `\t` and `\n` may be written so. */
export function formatRows<Row>(
  terminal: Pick<Terminal, 'out'>,
  listing: Listing<Row>,
  rows: readonly Row[],
  { format, full }: ListingOptions,
): void {
  const table = /^table(?:\s|$)/.test(format);
  const source = (format === 'json' ? '{{json .}}' : table ? format.slice('table'.length).trim() : format)
    .replaceAll('\\t', '\t')
    .replaceAll('\\n', '\n');
  const complaints = listing.complaints ?? DEFAULT_COMPLAINTS;
  const template = compile(source, complaints.parse);
  let out = '';
  for (const row of rows) out += `${execute(template, rowValue(listing, row, full), complaints.execute)}\n`;
  if (!table) {
    terminal.out(out);
    return;
  }
  terminal.out(
    alignColumns(
      `${execute(compile(headerSource(source), complaints.parse), headerValue(listing), complaints.execute)}\n${out}`,
    ),
  );
}

function compile(source: string, complaint: string): Template {
  try {
    return compileTemplate(source);
  } catch (error) {
    throw new Error(`${complaint}: ${messageOf(error)}`, { cause: error });
  }
}

function execute(template: Template, value: Value, complaint: string): string {
  try {
    return template(value);
  } catch (error) {
    throw new Error(`${complaint}: ${messageOf(error)}`, { cause: error });
  }
}

/** A row as templates see it. */
export function rowValue<Row>(listing: Listing<Row>, row: Row, full: boolean): GoStruct {
  const fields = Object.entries(listing.fields);
  const value = (name: string): Value => listing.fields[name]?.value(row, full);
  return {
    goType: listing.type,
    get: value,
    fields: () => fields.map(([name]) => [name, value(name)]),
    // Go's encoder escapes what HTML would trip over here; in inspect's documents docker tells it not to.
    toJSON: () =>
      escapeHtml(
        jsonObject(
          fields
            .filter(([, field]) => !field.method)
            .map(([name]) => [name, value(name)] as const)
            .sort(([a], [b]) => (a < b ? -1 : 1)),
        ),
      ),
  };
}

/** Headings are not numbers or lists: functions that change a value's form leave them as they are. */
function headerSource(source: string): string {
  return source.replaceAll(/\{\{(.*?)\}\}/gs, (action: string) =>
    action
      .replaceAll(/\b(?:json|title|lower|upper)\s+(?=[.($])/g, '')
      .replaceAll(/\|\s*(?:json|title|lower|upper)\b/g, '')
      .replaceAll(/\btruncate\s+(\S+)\s+\d+/g, '$1'),
  );
}

function headerValue<Row>(listing: Listing<Row>): GoStruct {
  return {
    goType: 'formatter.SubHeaderContext',
    get: (name) => {
      if (name === 'Label') {
        return (label: string) => (label.split('.').at(-1) ?? '').replaceAll(/[-_]/g, ' ');
      }
      return listing.fields[name]?.header ?? '<no value>';
    },
    fields: () => [],
    toJSON: () => '{}',
  };
}

function escapeHtml(json: string): string {
  return json.replaceAll(/[<>&]/g, (character) => `\\u00${character.charCodeAt(0).toString(16)}`);
}
