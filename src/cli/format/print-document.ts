import { messageOf } from '#/base/errors.ts';
import { StatusError } from '../command.ts';
import type { Terminal } from '../terminal.ts';
import { compileTemplate, type Template } from '#/template/evaluate.ts';
import { type GoStruct, isMap, toJson, type Value } from '#/template/values.ts';

/** Docker's exit code for a template that cannot be parsed. */
const PARSE_FAILED = 64;

export interface DocumentOptions {
  /** The name of the document's type in Go, for errors. */
  type: string;
  /** Members that are structs too, at any depth, and the names of their types. */
  structs?: Readonly<Record<string, string>>;
  /** Values of members that JSON leaves out. */
  absent?: Readonly<Record<string, Value>>;
  /** What templates call this document: docker names only that of `version`. */
  name?: string;
  /** Stands before every complaint about the template; without it only before those of its grammar. */
  complaint?: string;
}

/** Prints one document through `--format`: `json` or a template. */
export function printDocument(
  terminal: Terminal,
  format: string,
  document: Value,
  options: DocumentOptions,
): void {
  const print = documentPrinter(format, options);
  try {
    terminal.out(`${print(document)}\n`);
  } catch (error) {
    // Docker ends the line it had begun.
    terminal.out('\n');
    throw error;
  }
}

/** Compiles `--format` of `version`, `info` and `events`. */
export function documentPrinter(format: string, options: DocumentOptions): (document: Value) => string {
  if (format === 'json') return toJson;
  const source = format.replaceAll('\\t', '\t').replaceAll('\\n', '\n');
  const { complaint } = options;
  let template: Template;
  try {
    template = compileTemplate(source, options.name === undefined ? {} : { name: options.name });
  } catch (error) {
    throw new StatusError(`${complaint ?? 'template parsing error'}: ${messageOf(error)}`, PARSE_FAILED, {
      cause: error,
    });
  }
  return (document) => {
    try {
      return template(foldedStruct(document, options));
    } catch (error) {
      const prefix = complaint === undefined ? '' : `${complaint}: `;
      const code = complaint === undefined ? 1 : PARSE_FAILED;
      throw new StatusError(`${prefix}${messageOf(error)}`, code, { cause: error });
    }
  };
}

/** Go's names of fields differ from JSON's in case only (`APIVersion`, `ApiVersion`), so case is not looked at. */
function foldedStruct(given: Value, options: DocumentOptions): Value {
  if (!isMap(given)) return given;
  const document: Record<string, Value> = { ...options.absent, ...given };
  const names = new Map(Object.keys(document).map((key) => [key.toLowerCase(), key]));
  const member = (key: string): Value => {
    const value = document[key];
    const type = options.structs?.[key];
    return type === undefined ? value : foldedStruct(value, { ...options, type, absent: {} });
  };
  const struct: GoStruct = {
    goType: options.type,
    get: (name) => {
      const key = names.get(name.toLowerCase());
      return key === undefined ? undefined : member(key);
    },
    fields: () => Object.keys(given).map((key) => [key, member(key)]),
    toJSON: () => toJson(given),
  };
  return struct;
}
