import { invalid } from '#/base/errors.ts';
import { familiarName, familiarReference, type Reference } from '#/oci/reference.ts';

/** Whether a shell pattern of the `reference` filter fits a reference: with or without its tag, as people write it. */
export function matchesReferencePattern(pattern: RegExp, reference: Reference): boolean {
  return pattern.test(familiarReference(reference)) || pattern.test(familiarName(reference));
}

/** Go's path.Match as a regular expression: `*` and `?` stop at slashes. Throws `invalid` for an unclosed bracket. */
export function compileReferencePattern(pattern: string): RegExp {
  let source = '';
  for (let i = 0; i < pattern.length; i += 1) {
    const c = pattern.charAt(i);
    if (c === '*') source += '[^/]*';
    else if (c === '?') source += '[^/]';
    else if (c === '[') {
      const end = pattern.indexOf(']', i + 2);
      if (end < 0) throw invalid('syntax error in pattern');
      const negated = pattern[i + 1] === '^';
      const set = pattern.slice(i + (negated ? 2 : 1), end).replace(/[\\\]^[]/g, String.raw`\$&`);
      source += `[${negated ? '^' : ''}${set}]`;
      i = end;
    } else {
      if (c === '\\') i += 1;
      source += pattern.charAt(i).replace(/[$()*+.?[\\\]^{|}]/g, String.raw`\$&`);
    }
  }
  try {
    return new RegExp(`^${source}$`, 's');
  } catch (cause) {
    throw invalid('syntax error in pattern', { cause });
  }
}
