import { invalid } from '#/base/errors.ts';
import { SCHEMAS, type WireSchema } from '#/wire/generated-schemas.ts';
import { RETIRED_FIELDS } from '#/wire/retired-fields.ts';
import { UNDESCRIBED } from '#/wire/undescribed.ts';

/**
 * Reads a request body with the manners of Go's encoding/json, on which clients have come to depend: unknown fields are ignored, null is
 * absent, keys fold case, and a wrong type is refused in Go's words. `name` is a structure of the API description.
 */
export function decodeBody(name: string, text: string): object {
  const value = parseJson(text);
  if (value === null) return {};
  const fields = fieldsOf(name);
  if (typeof value !== 'object' || Array.isArray(value)) {
    throw invalid(`invalid JSON: json: cannot unmarshal ${kindOf(value)} into Go value of type ${name}`);
  }
  return decodeFields(fields, value, { struct: name, path: [] });
}

/** Where in the body the decoder is, for the words of an error. */
interface Place {
  struct: string;
  path: readonly string[];
}

/** Fields whose Go type has an unmarshaller of its own that takes one string for a list (moby's strslice). */
const ONE_OR_MANY = new Set(['Cmd', 'Entrypoint', 'Shell']);

/** Go's int sizes; beyond 2^53 JavaScript has no integers, and no field of the API needs them. */
const RANGES: Record<string, readonly [number, number]> = {
  int8: [-128, 127],
  int16: [-32_768, 32_767],
  int32: [-2_147_483_648, 2_147_483_647],
  uint8: [0, 255],
  uint16: [0, 65_535],
  uint32: [0, 4_294_967_295],
  uint64: [0, Number.MAX_SAFE_INTEGER + 1],
};

function decodeFields(fields: Record<string, WireSchema>, value: object, place: Place): object {
  const known = foldedNames(fields);
  const decoded = new Map<string, unknown>();
  for (const [key, inner] of Object.entries(value)) {
    if (inner === null) continue;
    const name = Object.hasOwn(fields, key) ? key : known.get(key.toLowerCase());
    const schema = name === undefined ? undefined : fields[name];
    if (name === undefined || schema === undefined) continue;
    decoded.set(name, decodeValue(schema, inner, { struct: place.struct, path: [...place.path, name] }));
  }
  return Object.fromEntries(decoded);
}

const complete = new Map<string, Record<string, WireSchema>>();

/** A structure's fields, those that only older clients send included. */
function fieldsOf(name: string): Record<string, WireSchema> {
  let fields = complete.get(name);
  if (fields === undefined) {
    fields = { ...(SCHEMAS[name] ?? UNDESCRIBED[name]), ...RETIRED_FIELDS[name] };
    complete.set(name, fields);
  }
  return fields;
}

const folded = new WeakMap<object, Map<string, string>>();

function foldedNames(fields: Record<string, WireSchema>): Map<string, string> {
  let names = folded.get(fields);
  if (names === undefined) {
    names = new Map(Object.keys(fields).map((name) => [name.toLowerCase(), name]));
    folded.set(fields, names);
  }
  return names;
}

function decodeValue(schema: WireSchema, value: unknown, place: Place): unknown {
  if (typeof schema === 'string') return decodeScalar(schema, value, place);
  if ('list' in schema) return decodeList(schema.list, value, place);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw mismatch(value, goType(schema), place);
  }
  if ('map' in schema) return decodeMap(schema.map, value, place);
  if ('fields' in schema) return decodeFields(schema.fields, value, place);
  return decodeFields(fieldsOf(schema.struct), value, { struct: schema.struct, path: place.path });
}

function decodeMap(item: WireSchema, value: object, place: Place): object {
  // An entry whose value is null is kept: `"PortBindings": {"80/tcp": null}` names a port.
  const entries = Object.entries(value).map(([key, inner]): [string, unknown] => [
    key,
    inner === null ? null : decodeValue(item, inner, { struct: place.struct, path: [...place.path, key] }),
  ]);
  return Object.fromEntries(entries);
}

function decodeList(item: WireSchema, value: unknown, place: Place): unknown[] {
  if (typeof value === 'string' && ONE_OR_MANY.has(place.path.at(-1) ?? '')) return [value];
  if (!Array.isArray(value)) throw mismatch(value, goType({ list: item }), place);
  return value.map((inner: unknown) => (inner === null ? zeroOf(item) : decodeValue(item, inner, place)));
}

/** Go leaves an element that is null at its type's zero value. */
function zeroOf(schema: WireSchema): unknown {
  if (schema === 'string') return '';
  if (schema === 'bool') return false;
  if (typeof schema === 'string') return schema === 'any' ? null : 0;
  return 'list' in schema ? [] : {};
}

function decodeScalar(type: string, value: unknown, place: Place): unknown {
  switch (type) {
    case 'any':
      return value;
    case 'string':
    case 'bool':
      if (typeof value !== (type === 'bool' ? 'boolean' : 'string')) throw mismatch(value, type, place);
      return value;
    default:
      return decodeNumber(type, value, place);
  }
}

function decodeNumber(type: string, value: unknown, place: Place): number {
  if (typeof value !== 'number') throw mismatch(value, type, place);
  if (type === 'float64') return value;
  const [least, most] = RANGES[type] ?? [-(2 ** 63), 2 ** 63];
  if (!Number.isInteger(value) || value < least || value > most) throw mismatch(value, type, place, true);
  return value;
}

function mismatch(value: unknown, type: string, place: Place, shown = false): Error {
  const found = shown ? `number ${String(value)}` : kindOf(value);
  const field = [place.struct, ...place.path].join('.');
  return invalid(
    `invalid JSON: json: cannot unmarshal ${found} into Go struct field ${field} of type ${type}`,
  );
}

function kindOf(value: unknown): string {
  if (Array.isArray(value)) return 'array';
  return typeof value === 'boolean' ? 'bool' : typeof value;
}

function goType(schema: WireSchema): string {
  if (typeof schema === 'string') return schema === 'any' ? 'interface {}' : schema;
  if ('list' in schema) return `[]${goType(schema.list)}`;
  if ('map' in schema) return `map[string]${goType(schema.map)}`;
  return 'struct' in schema ? `container.${schema.struct}` : 'struct';
}

/** JSON.parse with Go's words for what is wrong. */
export function parseJson(text: string): unknown {
  if (text.trim() === '') throw invalid('invalid JSON: got EOF while reading request body');
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    const message = error instanceof Error ? error.message : '';
    if (/end of JSON input|Unterminated/.test(message)) throw invalid('invalid JSON: unexpected EOF');
    if (message.includes('after JSON')) throw invalid('unexpected content after JSON');
    const character = /^Unexpected token '(.+?)'/.exec(message)?.[1] ?? text.trim().slice(0, 1);
    throw invalid(`invalid JSON: invalid character '${character}' looking for beginning of value`);
  }
}
