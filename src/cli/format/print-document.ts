import { messageOf } from '#/base/errors.ts';
import { StatusError } from '../command.ts';
import type { Terminal } from '../terminal.ts';
import { compileTemplate, type Template } from '../template/evaluate.ts';
import type { Value } from '../template/values.ts';

/** Prints one document through `--format`: `json` or a template. */
export function printDocument(terminal: Terminal, format: string, document: Value): void {
  terminal.out(`${documentPrinter(format)(document)}\n`);
}

/** Compiles `--format` of `version`, `info` and `events`. */
export function documentPrinter(format: string): (document: Value) => string {
  if (format === 'json') return (document) => JSON.stringify(document);
  const source = format.replaceAll('\\t', '\t').replaceAll('\\n', '\n');
  let template: Template;
  try {
    template = compileTemplate(source);
  } catch (error) {
    throw new StatusError(`template parsing error: ${messageOf(error)}`, 64, { cause: error });
  }
  return (document) => {
    try {
      return template(document);
    } catch (error) {
      throw new Error(messageOf(error), { cause: error });
    }
  };
}
