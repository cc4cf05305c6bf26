import { messageOf } from '#/base/errors.ts';
import { StatusError } from '../command.ts';
import type { Terminal } from '../terminal.ts';
import { indentJson } from './indent-json.ts';

/** A kind of document, for templates that meet fields which JSON leaves out. */
export type DocumentKind =
  | 'container'
  | 'image'
  | 'network'
  | 'volume'
  | 'plugin'
  | 'context'
  | 'config'
  | 'node'
  | 'secret'
  | 'service'
  | 'task';

export interface InspectedDocument {
  /** As the daemon sent it: numbers and the order of keys are kept. */
  text: string;
  kind: DocumentKind;
}

/**
 * Prints the documents of all references that are there, as one JSON array or through a template each, and then the errors
 * of those that are not, with exit code 1.
 */
export async function inspectAll(
  terminal: Terminal,
  references: readonly string[],
  format: string,
  fetch: (reference: string) => Promise<InspectedDocument>,
): Promise<void> {
  const show = format === '' || format === 'json' ? undefined : await documentTemplate(format);
  const documents: string[] = [];
  const failures: string[] = [];
  for (const settled of await Promise.allSettled(references.map(fetch))) {
    if (settled.status === 'rejected') {
      failures.push(messageOf(settled.reason));
      continue;
    }
    try {
      documents.push(show ? `${show(settled.value)}\n` : settled.value.text.trim());
    } catch (error) {
      failures.push(messageOf(error));
    }
  }
  if (show) terminal.out(documents.length > 0 ? documents.join('') : '\n');
  else {
    const array = `[${documents.join(',')}]`;
    terminal.out(format === 'json' ? `${array}\n` : `${indentJson(array)}\n`);
  }
  if (failures.length > 0) throw new StatusError(failures.join('\n'), 1);
}

async function documentTemplate(format: string): Promise<(document: InspectedDocument) => string> {
  const { compileDocumentTemplate } = await import('./document-template.ts');
  return compileDocumentTemplate(format);
}
