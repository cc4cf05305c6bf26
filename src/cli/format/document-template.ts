import { messageOf } from '#/base/errors.ts';
import { StatusError } from '../command.ts';
import { compileTemplate, type Template } from '#/template/evaluate.ts';
import { ROOT_SHAPES } from './document-shapes.ts';
import { parseDocument } from './parse-document.ts';
import { shapedValue } from './shaped-value.ts';
import type { InspectedDocument } from './inspect.ts';

/** Docker's exit code for a template that cannot be parsed. */
const PARSE_FAILED = 64;

/** Compiles `inspect --format`. */
export function compileDocumentTemplate(format: string): (document: InspectedDocument) => string {
  const source = format.replaceAll('\\t', '\t').replaceAll('\\n', '\n');
  let template: Template;
  try {
    template = compileTemplate(source, { missingKeyFails: true });
  } catch (error) {
    throw new StatusError(`template parsing error: ${messageOf(error)}`, PARSE_FAILED, { cause: error });
  }
  return ({ text, kind }) => {
    try {
      return template(shapedValue(parseDocument(text), ROOT_SHAPES[kind] ?? ''));
    } catch (error) {
      throw new Error(`template parsing error: ${messageOf(error)}`, { cause: error });
    }
  };
}
