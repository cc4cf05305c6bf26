import { isUtf8 } from 'node:buffer';
import { readFileSync } from 'node:fs';
import { errnoCode, messageOf } from '#/base/errors.ts';
import { splitPair } from './comma-separated.ts';

type Environment = Record<string, string | undefined>;

/** `-e NAME` takes the value from the caller's environment, and stays bare (unset it there) when it has none. */
export function inheritVariable(value: string, env: Environment): string {
  const [name, given] = splitPair(value);
  if (name === '') throw new Error(`invalid environment variable: ${value}`);
  const inherited = env[name];
  return given === undefined && inherited !== undefined ? `${name}=${inherited}` : value;
}

/** Appends, or takes the place of the variable of the same name. */
export function replaceVariables(values: readonly string[]): string[] {
  const byName = new Map<string, string>();
  for (const value of values) byName.set(splitPair(value)[0], value);
  return [...byName.values()];
}

/**
 * The `NAME=value` lines of an `--env-file` or `--label-file`. A bare name takes its value from `env`; without one it is
 * left out.
 */
export function readKeyValueFile(file: string, env?: Environment): string[] {
  let bytes: Buffer;
  try {
    bytes = readFileSync(file);
  } catch (error) {
    if (errnoCode(error) === 'ENOENT') {
      throw new Error(`open ${file}: no such file or directory`, { cause: error });
    }
    const reason = errnoCode(error) === 'EISDIR' ? `read ${file}: is a directory` : messageOf(error);
    throw new Error(`invalid env file (${file}): ${reason}`, { cause: error });
  }
  try {
    checkUtf8(bytes);
    return parseLines(bytes.toString(), env);
  } catch (error) {
    throw new Error(`invalid env file (${file}): ${messageOf(error)}`, { cause: error });
  }
}

function checkUtf8(bytes: Buffer): void {
  if (isUtf8(bytes)) return;
  const lines = bytes.toString('latin1').split('\n');
  for (const [index, line] of lines.entries()) {
    const raw = Buffer.from(line, 'latin1');
    if (!isUtf8(raw)) throw new Error(`invalid utf8 bytes at line ${index + 1}: [${[...raw].join(' ')}]`);
  }
}

function parseLines(text: string, env: Environment = {}): string[] {
  const values: string[] = [];
  for (const raw of text.replace(/^\uFEFF/, '').split('\n')) {
    const line = raw.replace(/\r$/, '').trimStart();
    if (line === '' || line.startsWith('#')) continue;
    const [name, value] = splitPair(line);
    if (name === '') throw new Error(`no variable name on line '${line}'`);
    if (/\s/.test(name)) throw new Error(`variable '${name}' contains whitespaces`);
    const inherited = env[name];
    if (value !== undefined) values.push(`${name}=${value}`);
    else if (inherited !== undefined) values.push(`${name}=${inherited}`);
  }
  return values;
}

/** Refuses a label without a name. */
export function checkLabel(value: string): string {
  if (splitPair(value)[0] === '') throw new Error(`invalid label '${value}': empty name`);
  return value;
}

/** `a=b` entries as a map; an entry without `=` has the empty value. */
export function keyValueMap(entries: readonly string[]): Record<string, string> {
  const map: Record<string, string> = {};
  for (const entry of entries) {
    const [key, value = ''] = splitPair(entry);
    map[key] = value;
  }
  return map;
}
