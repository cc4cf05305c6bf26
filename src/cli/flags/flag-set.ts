import { parseBool } from '#/base/go-scalars.ts';
import { displayName, type FlagSpec } from './flag-spec.ts';
import { scalarParser } from './scalar.ts';

/** The command line itself is wrong. Shown with the command's usage; exit code 125. */
export class FlagError extends Error {
  override readonly name = 'FlagError';
}

/** Checks one value as it is given, and may rewrite it. Throws an Error with the reason it will not do. */
export type ValueCheck = (value: string) => string;

/** Types whose flag may be given again to add a value. */
const REPEATED = new Set([
  'list',
  'map',
  'strings',
  'stringArray',
  'mount',
  'network',
  'ulimit',
  'gpu-request',
  'filter',
]);

/** The flags of one command line, parsed the way Docker's clients do (POSIX with GNU's long names). */
export class FlagSet {
  readonly #byName = new Map<string, FlagSpec>();
  readonly #byShorthand = new Map<string, FlagSpec>();
  readonly #checks: Record<string, ValueCheck>;
  readonly #values = new Map<string, string[]>();
  /** What is left: the arguments that are no flags. */
  readonly args: string[] = [];

  constructor(specs: readonly FlagSpec[], checks: Record<string, ValueCheck> = {}) {
    this.#checks = checks;
    for (const spec of specs) {
      this.#byName.set(spec.name, spec);
      if (spec.shorthand !== undefined) this.#byShorthand.set(spec.shorthand, spec);
    }
  }

  /**
   * Reads `argv`. Unless `interspersed`, flags end at the first argument that is none: what follows the image of `run`
   * belongs to the container.
   */
  parse(argv: readonly string[], interspersed: boolean): void {
    const rest = [...argv];
    for (let word = rest.shift(); word !== undefined; word = rest.shift()) {
      if (word === '--') {
        this.args.push(...rest);
        return;
      }
      if (word.startsWith('--')) this.#long(word, rest);
      else if (word.startsWith('-') && word !== '-') this.#short(word, rest);
      else {
        this.args.push(word);
        if (!interspersed) {
          this.args.push(...rest);
          return;
        }
      }
    }
  }

  /** Whether any flag was given. */
  anyChanged(): boolean {
    return this.#values.size > 0;
  }

  changed(name: string): boolean {
    return this.#values.has(name);
  }

  string(name: string, absent = ''): string {
    return this.#values.get(name)?.at(-1) ?? absent;
  }

  bool(name: string, absent = false): boolean {
    const value = this.#values.get(name)?.at(-1);
    return value === undefined ? absent : value === 'true';
  }

  /** Flags of a numeric type (int, bytes, duration in nanoseconds), already checked. */
  number(name: string, absent = 0): number {
    const value = this.#values.get(name)?.at(-1);
    return value === undefined ? absent : Number(value);
  }

  list(name: string): string[] {
    return [...(this.#values.get(name) ?? [])];
  }

  set(name: string, value: string): void {
    const spec = this.#byName.get(name);
    if (!spec) throw new FlagError(`unknown flag: --${name}`);
    this.#assign(spec, value);
  }

  #long(word: string, rest: string[]): void {
    const equals = word.indexOf('=');
    const name = equals === -1 ? word.slice(2) : word.slice(2, equals);
    if (name === '' || name.startsWith('-')) throw new FlagError(`bad flag syntax: ${word}`);
    const spec = this.#byName.get(name);
    if (!spec) throw new FlagError(`unknown flag: --${name}`);
    if (equals !== -1) this.#assign(spec, word.slice(equals + 1));
    else if (spec.type === 'bool') this.#assign(spec, 'true');
    else {
      const value = rest.shift();
      if (value === undefined) throw new FlagError(`flag needs an argument: --${name}`);
      this.#assign(spec, value);
    }
  }

  #short(word: string, rest: string[]): void {
    let letters = word.slice(1);
    while (letters !== '') {
      const letter = letters[0] ?? '';
      const spec = this.#byShorthand.get(letter);
      if (!spec) throw new FlagError(`unknown shorthand flag: '${letter}' in -${letters}`);
      if (letters.length > 2 && letters[1] === '=') {
        this.#assign(spec, letters.slice(2));
        return;
      }
      if (spec.type === 'bool') {
        this.#assign(spec, 'true');
        letters = letters.slice(1);
        continue;
      }
      const value = letters.length > 1 ? letters.slice(1) : rest.shift();
      if (value === undefined) throw new FlagError(`flag needs an argument: '${letter}' in -${letters}`);
      this.#assign(spec, value);
      return;
    }
  }

  #assign(spec: FlagSpec, value: string): void {
    let checked: string;
    try {
      if (spec.type === 'bool') checked = String(parseBool(value));
      else checked = (this.#checks[spec.name] ?? scalarParser(spec.type) ?? ((same) => same))(value);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new FlagError(
        `invalid argument ${JSON.stringify(value)} for "${displayName(spec)}" flag: ${reason}`,
        {
          cause: error,
        },
      );
    }
    const before = REPEATED.has(spec.type) ? (this.#values.get(spec.name) ?? []) : [];
    const values = spec.type === 'strings' ? checked.split(',') : [checked];
    this.#values.set(spec.name, [...before, ...values]);
  }
}
