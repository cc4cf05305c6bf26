import { messageOf } from '#/base/errors.ts';
import type { LogInfo } from './log-info.ts';

/**
 * What the options `labels`, `labels-regex`, `env` and `env-regex` add to a container's log, by name; names go through `rename`.
 * Throws an Error for an expression that is none.
 */
export function logAttributes(
  { options, labels, environment }: Pick<LogInfo, 'options' | 'labels' | 'environment'>,
  rename: (name: string) => string = (name) => name,
): Record<string, string> {
  const variables = Object.fromEntries(
    environment.filter((entry) => entry.includes('=')).map((entry) => split(entry)),
  );
  const chosen = [
    ...choose(labels, options['labels'], options['labels-regex']),
    ...choose(variables, options['env'], options['env-regex']),
  ];
  return Object.fromEntries(chosen.map(([name, value]) => [rename(name), value]));
}

function split(entry: string): [string, string] {
  const at = entry.indexOf('=');
  return [entry.slice(0, at), entry.slice(at + 1)];
}

function choose(
  values: Readonly<Record<string, string>>,
  names: string | undefined,
  pattern: string | undefined,
): [string, string][] {
  const named = new Set((names ?? '').split(','));
  const expression = pattern ? goExpression(pattern) : undefined;
  return Object.entries(values).filter(([name]) => named.has(name) || expression?.test(name));
}

const GO_WORDS: [RegExp, string][] = [
  [/unterminated character class|missing \]/i, 'missing closing ]'],
  [/unterminated group/i, 'missing closing )'],
  [/unmatched '\)'/i, 'unexpected )'],
  [/nothing to repeat/i, 'missing argument to repetition operator'],
];

/** Go's syntax as far as ours differs: flags at the start, and how groups are named. */
function goExpression(pattern: string): RegExp {
  const [, flags = '', rest = ''] = /^(?:\(\?([ims]+)\))?(.*)$/s.exec(pattern) ?? [];
  try {
    return new RegExp(rest.replaceAll('(?P<', '(?<'), flags);
  } catch (error) {
    const said = messageOf(error);
    const words = GO_WORDS.find(([known]) => known.test(said))?.[1] ?? said;
    throw new Error(`error parsing regexp: ${words}: \`${pattern}\``, { cause: error });
  }
}
