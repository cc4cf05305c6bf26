import { invalid } from '#/base/errors.ts';
import { parseBool } from '#/base/go-scalars.ts';

/** A request's query, read as dockerd reads it (moby's api/server/httputils/form.go). */
export class Query {
  readonly #values = new Map<string, string[]>();

  constructor(search: string) {
    for (const pair of search.replace(/^\?/, '').split('&')) {
      if (pair === '') continue;
      const at = pair.indexOf('=');
      const key = unescape(at < 0 ? pair : pair.slice(0, at));
      const value = at < 0 ? '' : unescape(pair.slice(at + 1));
      this.#values.set(key, [...this.all(key), value]);
    }
  }

  has(key: string): boolean {
    return this.#values.has(key);
  }

  all(key: string): string[] {
    return this.#values.get(key) ?? [];
  }

  /** The first value, or an empty string. */
  text(key: string): string {
    return this.all(key)[0] ?? '';
  }

  /** The first value, unless it is missing or empty. */
  given(key: string): string | undefined {
    return this.text(key) || undefined;
  }

  flag(key: string, missing = false): boolean {
    if (!this.has(key)) return missing;
    return !['', '0', 'no', 'false', 'none'].includes(this.text(key).trim().toLowerCase());
  }

  /** Undefined when missing or empty; anything but what Go's strconv.ParseBool takes is `invalid`. */
  boolean(key: string): boolean | undefined {
    const text = this.text(key);
    if (text === '') return undefined;
    try {
      return parseBool(text);
    } catch (error) {
      throw invalid(`invalid value for ${key}: ${text}`, { cause: error });
    }
  }

  /** Undefined when missing or empty; anything but a whole number is `invalid`, in Go's words. */
  integer(key: string): number | undefined {
    const text = this.text(key);
    if (text === '') return undefined;
    if (!/^[+-]?\d+$/.test(text)) throw invalid(`strconv.Atoi: parsing "${text}": invalid syntax`);
    if (!Number.isSafeInteger(Number(text))) {
      throw invalid(`strconv.Atoi: parsing "${text}": value out of range`);
    }
    return Number(text);
  }
}

function unescape(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    throw invalid(`invalid URL escape "${/%(?![0-9a-fA-F]{2}).{0,2}/.exec(text)?.[0] ?? text}"`);
  }
}
