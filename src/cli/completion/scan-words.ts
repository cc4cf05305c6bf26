import type { FlagSpec } from '../flags/flag-spec.ts';

/** What a half-written command line has come to, as far as one set of flags goes. */
export interface ScannedWords {
  /** The words that are no flags; from the first on, when flags end there. */
  args: string[];
  /** The flag whose value comes next. */
  pending: FlagSpec | undefined;
  /** No flag may follow any more. */
  flagsOver: boolean;
  /** The flags that were given a value. */
  values: Map<string, string>;
}

/** Reads words as `FlagSet` does, but forgives everything: a line that is being typed may be wrong as yet. */
export function scanWords(
  specs: readonly FlagSpec[],
  words: readonly string[],
  interspersed: boolean,
): ScannedWords {
  const result: ScannedWords = { args: [], pending: undefined, flagsOver: false, values: new Map() };
  for (const [index, word] of words.entries()) {
    if (result.pending) {
      result.values.set(result.pending.name, word);
      result.pending = undefined;
    } else if (word === '--') {
      result.args.push(...words.slice(index + 1));
      result.flagsOver = true;
      return result;
    } else if (word.startsWith('-') && word !== '-') {
      readFlag(specs, word, result);
    } else if (interspersed) {
      result.args.push(word);
    } else {
      result.args.push(...words.slice(index));
      result.flagsOver = true;
      return result;
    }
  }
  return result;
}

function readFlag(specs: readonly FlagSpec[], word: string, result: ScannedWords): void {
  if (word.startsWith('--')) {
    const [name = '', ...value] = word.slice(2).split('=');
    const spec = specs.find((each) => each.name === name);
    if (spec && value.length > 0) result.values.set(name, value.join('='));
    else if (spec && spec.type !== 'bool') result.pending = spec;
    return;
  }
  // `-it`: the first letter that takes a value takes what is left of the word for it.
  const letters = word.slice(1);
  for (const [index, letter] of letters.split('').entries()) {
    const spec = specs.find((each) => each.shorthand === letter);
    if (!spec || spec.type === 'bool') continue;
    const rest = letters.slice(index + 1).replace(/^=/, '');
    if (rest === '') result.pending = spec;
    else result.values.set(spec.name, rest);
    return;
  }
}
