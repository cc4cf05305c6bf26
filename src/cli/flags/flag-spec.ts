/**
 * Flags are declared as their own help text, one a line, and read from there:
 *
 *     -m, --memory bytes  Memory limit
 *         --rm            Automatically remove the container
 *
 * The word after the name is the value's type as `--help` shows it; none means a boolean. A usage text may go on over
 * further lines, each beginning with `|`.
 */
export interface FlagSpec {
  name: string;
  shorthand?: string | undefined;
  /** The type word of the help text; `bool` when it shows none. */
  type: string;
  usage: string;
  hidden: boolean;
}

const LINE = /^\s*(?:-(\w), )?--([\w-]+)(?: ([\w-]+))?(?:\s{2,}(.*))?$/;

export function parseFlagSpecs(text: string, hidden = false): FlagSpec[] {
  const specs: FlagSpec[] = [];
  for (const line of text.split('\n')) {
    if (line.trim() === '') continue;
    const more = /^\s*\|(.*)$/.exec(line);
    const last = specs.at(-1);
    if (more && last) {
      last.usage += `\n${more[1] ?? ''}`;
      continue;
    }
    const match = LINE.exec(line);
    if (!match) throw new Error(`not a flag declaration: "${line}"`);
    const [, shorthand, name = '', type = 'bool', usage = ''] = match;
    specs.push({ name, shorthand, type, usage, hidden });
  }
  return specs;
}

/** `-m, --memory`, as error messages name a flag. */
export function displayName(spec: FlagSpec): string {
  return spec.shorthand === undefined ? `--${spec.name}` : `-${spec.shorthand}, --${spec.name}`;
}
