/**
 * Values of a template, as Go would have them: strings, numbers, booleans, lists, maps (plain objects, keys sorted), structs
 * (`GoStruct`, fields in order), nil, and functions (methods). Undefined is a value that is not there.
 */
export type Value = unknown;

export type GoMap = Record<string, Value>;

/** An integer too large for a JavaScript number, by its digits. */
export class BigNumber {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

/** A value whose type in Go has a text of its own: a moment, a duration. */
export class Formatted {
  readonly value: string | number;
  readonly text: string;

  constructor(value: string | number, text: string) {
    this.value = value;
    this.text = text;
  }
}

/** A value with a fixed set of fields. One that has no such field fails, where a map would have no value. */
export interface GoStruct {
  /** The name of its type, with `*` if it stands for a pointer. */
  readonly goType: string;
  /** The fields that `{{.}}` prints, in order. */
  readonly fields: () => [string, Value][];
  readonly get: (name: string) => Value;
  /** What `json` gives. */
  readonly toJSON: () => string;
  /** What to say of a field it does not have; without it, that its type has none. */
  readonly missingKey?: (name: string) => string;
}

export function isStruct(value: Value): value is GoStruct {
  return typeof value === 'object' && value !== null && 'goType' in value && 'fields' in value;
}

export function isMap(value: Value): value is GoMap {
  return (
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    !isStruct(value) &&
    !(value instanceof BigNumber) &&
    !(value instanceof Formatted)
  );
}

/** Keys of a map in the order Go visits them. */
export function sortedKeys(map: GoMap): string[] {
  return Object.keys(map).sort();
}

/** What `if` and `and` hold for true: anything but zero, empty and nil. */
export function isTrue(value: Value): boolean {
  if (value === undefined || value === null) return false;
  if (value instanceof Formatted) return Boolean(value.value);
  if (Array.isArray(value)) return value.length > 0;
  if (isMap(value)) return Object.keys(value).length > 0;
  return Boolean(value);
}

/** As Go's `%v` prints it. */
export function display(value: Value): string {
  if (value === undefined) return '<no value>';
  if (value === null) return '<nil>';
  if (Array.isArray(value)) return `[${value.map((item) => display(item)).join(' ')}]`;
  if (isStruct(value))
    return `{${value
      .fields()
      .map(([, field]) => display(field))
      .join(' ')}}`;
  if (value instanceof BigNumber || value instanceof Formatted) return value.text;
  if (isMap(value)) {
    return `map[${sortedKeys(value)
      .map((key) => `${key}:${display(value[key])}`)
      .join(' ')}]`;
  }
  if (typeof value === 'number') return displayNumber(value);
  if (typeof value === 'string' || typeof value === 'boolean') return String(value);
  return '<func>';
}

/** Integers in full, others as `%v` prints a float64. */
export function displayNumber(value: number): string {
  if (Number.isInteger(value) && Math.abs(value) < 1e21) return String(value);
  const text = String(value);
  const match = /^(.*)e([+-])(\d)$/.exec(text);
  return match ? `${match[1]}e${match[2]}0${match[3]}` : text;
}

/** The name of a value's type, as errors give it. */
export function typeName(value: Value): string {
  if (value === undefined || value === null) return 'nil';
  if (isStruct(value)) return value.goType;
  if (Array.isArray(value)) return '[]interface {}';
  if (isMap(value)) return 'map[string]interface {}';
  if (typeof value === 'boolean') return 'bool';
  if (typeof value === 'number') return Number.isInteger(value) ? 'int' : 'float64';
  return typeof value === 'function' ? 'func' : 'string';
}

/**
 * JSON as docker's `json` function writes it: no HTML escapes. Keys stay in the order of the document they
 * came in, which is that of Go's structs, and sorted where Go has a map.
 */
export function toJson(value: Value): string {
  if (value === undefined || value === null) return 'null';
  if (value instanceof BigNumber) return value.text;
  if (value instanceof Formatted) return JSON.stringify(value.value);
  if (Array.isArray(value)) return `[${value.map(toJson).join(',')}]`;
  if (isStruct(value)) return value.toJSON();
  if (isMap(value)) return jsonObject(Object.entries(value));
  return JSON.stringify(value) ?? 'null';
}

export function jsonObject(entries: readonly (readonly [string, Value])[]): string {
  return `{${entries.map(([key, value]) => `${JSON.stringify(key)}:${toJson(value)}`).join(',')}}`;
}
