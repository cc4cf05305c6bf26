import { invalid } from '#/base/errors.ts';

/** Splits an instruction's arguments at blanks as a Dockerfile does: quotes and backslashes keep them together and go. */
export function splitWords(text: string): string[] {
  const words: string[] = [];
  let word: string | undefined;
  let quote = '';
  for (let i = 0; i < text.length; i += 1) {
    const c = text.charAt(i);
    if (quote === "'") {
      if (c === "'") quote = '';
      else word += c;
    } else if (c === '\\' && i + 1 < text.length) {
      const next = text.charAt(i + 1);
      // Within double quotes a backslash escapes only what would mean something there.
      if (quote === '"' && !'"\\$'.includes(next)) word = `${word ?? ''}\\${next}`;
      else word = (word ?? '') + next;
      i += 1;
    } else if (quote === '"') {
      if (c === '"') quote = '';
      else word += c;
    } else if (c === '"' || c === "'") {
      quote = c;
      word ??= '';
    } else if (/\s/.test(c)) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else {
      word = (word ?? '') + c;
    }
  }
  if (quote !== '')
    throw invalid(
      `unexpected end of statement while looking for matching ${quote === '"' ? 'double' : 'single'}-quote`,
    );
  if (word !== undefined) words.push(word);
  return words;
}

/** `["a","b"]` as a list; undefined for anything else. */
export function jsonWords(text: string): string[] | undefined {
  if (!text.startsWith('[')) return undefined;
  try {
    const parsed: unknown = JSON.parse(text);
    if (Array.isArray(parsed) && parsed.every((item) => typeof item === 'string')) return parsed;
  } catch {
    // Then it is a shell command that begins with a bracket.
  }
  return undefined;
}

/** `A=1 "B=2 3"` or the old form `A all the rest`, as pairs. `instruction` is for the errors. */
export function keyValues(instruction: string, text: string): [string, string][] {
  const first = /^\S+/.exec(text)?.[0] ?? '';
  if (!first.includes('=')) {
    const match = /^(\S+)\s+(.+)$/s.exec(text);
    if (match === null) throw invalid(`${instruction} must have two arguments`);
    return [[match[1] ?? '', splitWords(match[2] ?? '').join(' ')]];
  }
  return splitWords(text).map((word) => {
    const at = word.indexOf('=');
    if (at < 0)
      throw invalid(
        `Syntax error - can't find = in ${JSON.stringify(word)}. Must be of the form: name=value`,
      );
    if (at === 0) throw invalid(`${instruction} names can not be blank`);
    return [word.slice(0, at), word.slice(at + 1)];
  });
}
