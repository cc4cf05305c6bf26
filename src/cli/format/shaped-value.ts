import { Formatted, type GoStruct, isMap, toJson, type Value } from '#/template/values.ts';
import { type Shape, shapeOf } from './document-shapes.ts';
import { goDuration } from '#/base/time.ts';
import { goTime } from './units.ts';

/** A JSON value seen as the Go type that `type` names (see `document-shapes.ts`), or as it is. */
export function shapedValue(value: Value, type: string): Value {
  if (value === undefined || value === null) return zeroOf(type);
  if (type.startsWith('[]')) {
    const item = type.slice(2);
    return item !== '' && Array.isArray(value) ? value.map((each: Value) => shapedValue(each, item)) : value;
  }
  if (type.startsWith('map ')) {
    const item = type.slice('map '.length);
    if (!isMap(value)) return value;
    return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, shapedValue(each, item)]));
  }
  if (type === 'time' && typeof value === 'string') return new Formatted(value, goTime(value));
  if (type === 'duration' && typeof value === 'number') return new Formatted(value, goDuration(value));
  const name = type.replace(/^\*/, '');
  const shape = shapeOf(name);
  return shape && isMap(value) ? struct(value, name, shape) : value;
}

function struct(document: Record<string, Value>, name: string, shape: Shape): GoStruct {
  const types = new Map(shape);
  // Go's names differ from JSON's in case at most: `ID`, `NanoCPUs`.
  const folded = (field: string): string =>
    types.has(field)
      ? field
      : (shape.find(([other]) => other.toLowerCase() === field.toLowerCase())?.[0] ?? field);
  return {
    goType: name,
    get(name) {
      const field = folded(name);
      const type = types.get(field);
      // What the daemon says beyond the type is reachable too: docker falls back to the bare JSON.
      if (type === undefined) return Object.hasOwn(document, field) ? document[field] : undefined;
      return shapedValue(document[field], type);
    },
    fields: () => shape.map(([field, type]) => [field, shapedValue(document[field], type)]),
    toJSON: () => toJson(document),
    missingKey: (field) => `map has no entry for key ${JSON.stringify(field)}`,
  };
}

function zeroOf(type: string): Value {
  if (type === 'string') return '';
  if (type === 'int') return 0;
  if (type === 'bool') return false;
  if (type.startsWith('[]')) return [];
  if (type.startsWith('map')) return {};
  if (type === 'time') return new Formatted('0001-01-01T00:00:00Z', '0001-01-01 00:00:00 +0000 UTC');
  if (type === 'duration') return new Formatted(0, '0s');
  const shape = type.startsWith('*') ? undefined : shapeOf(type);
  return shape ? struct({}, type, shape) : null;
}
