import { sprintf } from './printf.ts';
import { quote } from './unquote.ts';
import {
  BigNumber,
  display,
  Formatted,
  isMap,
  isStruct,
  isTrue,
  toJson,
  typeName,
  type Value,
} from './values.ts';

export type TemplateFunction = (...args: Value[]) => Value;

interface Signature {
  min: number;
  /** Absent: any number. */
  max?: number;
  call: TemplateFunction;
}

const HTML: Record<string, string> = {
  '<': '&lt;',
  '>': '&gt;',
  '&': '&amp;',
  "'": '&#39;',
  '"': '&#34;',
  '\0': '\uFFFD',
};

/** Go's own functions and those that docker adds. */
const FUNCTIONS: Readonly<Record<string, Signature>> = {
  and: { min: 1, call: (...args) => args.find((value) => !isTrue(value)) ?? args.at(-1) },
  or: { min: 1, call: (...args) => args.find(isTrue) ?? args.at(-1) },
  not: { min: 1, max: 1, call: (value) => !isTrue(value) },
  len: { min: 1, max: 1, call: lengthOf },
  index: { min: 1, call: index },
  slice: { min: 1, max: 4, call: slice },
  print: { min: 0, call: (...args) => print(args) },
  println: { min: 0, call: (...args) => `${args.map((value) => display(value)).join(' ')}\n` },
  printf: { min: 1, call: (format, ...args) => sprintf(text(format), args) },
  html: {
    min: 1,
    call: (...args) => print(args).replaceAll(/[<>&'"\0]/g, (character) => HTML[character] ?? ''),
  },
  js: { min: 1, call: (...args) => quote(print(args)).slice(1, -1).replaceAll("'", "\\'") },
  urlquery: { min: 1, call: (...args) => encodeURIComponent(print(args)).replaceAll('%20', '+') },
  call: { min: 1, call: (target, ...args) => (target as TemplateFunction)(...args) },
  eq: { min: 2, call: (first, ...others) => others.some((other) => equal(first, other)) },
  ne: { min: 2, max: 2, call: (a, b) => !equal(a, b) },
  lt: { min: 2, max: 2, call: (a, b) => compare(a, b) < 0 },
  le: { min: 2, max: 2, call: (a, b) => compare(a, b) <= 0 },
  gt: { min: 2, max: 2, call: (a, b) => compare(a, b) > 0 },
  ge: { min: 2, max: 2, call: (a, b) => compare(a, b) >= 0 },
  json: { min: 1, max: 1, call: toJson },
  split: { min: 2, max: 2, call: (value, separator) => text(value).split(text(separator)) },
  join: { min: 2, max: 2, call: join },
  title: {
    min: 1,
    max: 1,
    call: (value) =>
      text(value).replaceAll(
        /(^|[^\p{L}\p{N}_'])(\p{L})/gu,
        (_, before: string, letter: string) => before + letter.toUpperCase(),
      ),
  },
  lower: { min: 1, max: 1, call: (value) => text(value).toLowerCase() },
  upper: { min: 1, max: 1, call: (value) => text(value).toUpperCase() },
  pad: {
    min: 3,
    max: 3,
    call: (value, before, after) =>
      text(value) && ' '.repeat(Number(before)) + text(value) + ' '.repeat(Number(after)),
  },
  truncate: {
    min: 2,
    max: 2,
    call: (value, length) => Array.from(text(value)).slice(0, Number(length)).join(''),
  },
};

export const FUNCTION_NAMES: ReadonlySet<string> = new Set(Object.keys(FUNCTIONS));

/** Calls a function, refusing a wrong number of arguments the way Go does. */
export function callFunction(name: string, args: readonly Value[]): Value {
  const signature = FUNCTIONS[name];
  if (!signature) throw new Error(`${JSON.stringify(name)} is not a defined function`);
  const { min, max } = signature;
  if (args.length < min || (max !== undefined && args.length > max)) {
    const want = min === max ? String(min) : `at least ${min}`;
    throw new WrongArguments(`wrong number of args for ${name}: want ${want} got ${args.length}`);
  }
  return signature.call(...args);
}

/** Told without the `error calling` that other failures of a function get. */
export class WrongArguments extends Error {}

function text(value: Value): string {
  if (typeof value === 'string') return value;
  if (value instanceof BigNumber) return value.text;
  if (value === undefined || value === null) throw new WrongArguments('invalid value; expected string');
  throw new WrongArguments(`wrong type for value; expected string; got ${typeName(value)}`);
}

/** fmt.Sprint: a space between operands when neither is a string. */
function print(args: readonly Value[]): string {
  let out = '';
  for (const [index, value] of args.entries()) {
    if (index > 0 && typeof value !== 'string' && typeof args[index - 1] !== 'string') out += ' ';
    out += display(value);
  }
  return out;
}

function lengthOf(value: Value): number {
  if (typeof value === 'string') return Buffer.byteLength(value);
  if (Array.isArray(value)) return value.length;
  if (isMap(value)) return Object.keys(value).length;
  if (value === null || value === undefined) throw new Error('len of nil pointer');
  throw new Error(`len of type ${typeName(value)}`);
}

function index(target: Value, ...keys: Value[]): Value {
  let value = target;
  for (const key of keys) {
    if (value === undefined || value === null) throw new Error('index of untyped nil');
    if (Array.isArray(value) || typeof value === 'string') {
      if (typeof key !== 'number') throw new Error(`cannot index slice/array with type ${typeName(key)}`);
      if (!Number.isInteger(key) || key < 0 || key >= value.length) {
        throw new Error(`index out of range: ${display(key)}`);
      }
      value = typeof value === 'string' ? Buffer.from(value)[key] : (value as Value[])[key];
    } else if (isMap(value)) {
      if (typeof key !== 'string') throw new Error(`value has type ${typeName(key)}; should be string`);
      value = Object.hasOwn(value, key) ? value[key] : undefined;
    } else throw new Error(`can't index item of type ${typeName(value)}`);
  }
  return value;
}

function slice(target: Value, ...bounds: Value[]): Value {
  if (typeof target !== 'string' && !Array.isArray(target))
    throw new Error(`can't slice item of type ${typeName(target)}`);
  const [from = 0, to = target.length] = bounds.map(Number);
  for (const bound of [from, to]) {
    if (bound < 0 || bound > target.length) throw new Error(`index out of range: ${bound}`);
  }
  if (from > to) throw new Error(`invalid slice index: ${from} > ${to}`);
  return target.slice(from, to);
}

function join(list: Value, separator: Value): string {
  if (list === null || list === undefined) return '';
  if (!Array.isArray(list)) throw new Error(`expected slice, got ${typeName(list)}`);
  return list.map((item) => display(item)).join(text(separator));
}

function equal(a: Value, b: Value): boolean {
  const [left, right] = [comparable(a), comparable(b)];
  if (left === undefined || right === undefined) return left === right;
  if (left === null || right === null) return left === right;
  if (typeof left !== typeof right) throw new Error('incompatible types for comparison');
  return left === right;
}

function compare(a: Value, b: Value): number {
  const [left, right] = [comparable(a), comparable(b)];
  if (
    left === undefined ||
    right === undefined ||
    left === null ||
    right === null ||
    typeof left === 'boolean'
  ) {
    throw new Error('invalid type for comparison');
  }
  if (typeof left !== typeof right) throw new Error('incompatible types for comparison');
  return left < right ? -1 : left > right ? 1 : 0;
}

function comparable(value: Value): string | number | boolean | null | undefined {
  if (value instanceof BigNumber) return Number(value.text);
  if (value instanceof Formatted) return value.value;
  if (isStruct(value) || isMap(value) || Array.isArray(value)) throw new Error('non-comparable type');
  return value as string | number | boolean | null | undefined;
}
