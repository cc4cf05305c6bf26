import { type Schema, resolved } from '../api/description.ts';
import type { Random } from '../random.ts';

/** How far a value is from what its schema asks for. */
export type Manners = 'valid' | 'odd' | 'wild';

const DEEPEST = 6;

/** Words that mean something to the engine, beside those of the requests' own containers and images. */
const MEANINGFUL: readonly [string, ...string[]] = [
  'true',
  'sleep',
  'busybox',
  'none',
  'host',
  'bridge',
  'private',
  'json-file',
  'always',
  'on-failure',
  'KILL',
  'SIGTERM',
  '80/tcp',
  '1000',
  'all',
  'NET_ADMIN',
  '64m',
  '/data',
];

/** No path of the host's is among them, for some of these become bind mounts of a daemon that is root. */
const ODD: readonly [string, ...string[]] = [
  '',
  ' ',
  '-1',
  '0',
  '1e999',
  '65536',
  '99999999999999999999',
  'a'.repeat(10_000),
  'ünïcödé 🙂',
  '\u0000',
  'a\u0000b',
  '\ud800',
  '../..',
  'a:b:c:d',
  'a=b',
  '=',
  ':',
  '@',
  '%00',
  '*',
  '(?<a>[',
  '__proto__',
  'constructor',
  'null',
  '{}',
  '\r\nX: y',
  'container:',
  'container:nosuch',
  'sha256:',
  `sha256:${'0'.repeat(64)}`,
];

const NUMBERS: readonly [number, ...number[]] = [
  0,
  1,
  -1,
  2,
  7,
  100,
  4096,
  65_535,
  65_536,
  2 ** 31 - 1,
  2 ** 31,
  2 ** 32,
  2 ** 53,
  -(2 ** 63),
  2 ** 63,
  1e308,
  -1e308,
  0.5,
];

export function text(random: Random, manners: Manners): string {
  return random.pick(manners === 'valid' || random.next() < 0.3 ? MEANINGFUL : ODD);
}

/** A value for a schema: of its types when `valid`, with wrong ones among them when `odd`, of any shape when `wild`. */
export function value(random: Random, given: Schema, manners: Manners, depth = 0): unknown {
  if (manners === 'wild' || (manners === 'odd' && random.next() < 0.05)) return anything(random, depth);
  const schema = resolved(given);
  if (schema['x-nullable'] === true && random.next() < 0.1) return null;
  if (schema.enum !== undefined && random.next() < 0.8) {
    return schema.enum[random.between(0, schema.enum.length - 1)];
  }
  switch (schema.type) {
    case 'string':
      return text(random, manners);
    case 'integer':
    case 'number':
      return manners === 'valid' ? random.between(0, 100) : random.pick(NUMBERS);
    case 'boolean':
      return random.next() < 0.5;
    case 'array':
      return some(random, depth, () => value(random, schema.items ?? {}, manners, depth + 1));
    default:
      return structure(random, schema, manners, depth);
  }
}

function structure(random: Random, schema: Schema, manners: Manners, depth: number): object {
  const inner = schema.additionalProperties;
  if (schema.properties === undefined) {
    const item = typeof inner === 'object' ? inner : {};
    return Object.fromEntries(
      some(random, depth, () => [text(random, manners), value(random, item, manners, depth + 1)]),
    ) as object;
  }
  // Few fields at a time: a request with twenty is refused for its first mistake, and the rest is never looked at.
  const share = depth === 0 ? 0.15 : 0.4;
  const entries = Object.entries(schema.properties).filter(() => random.next() < share);
  return Object.fromEntries(
    entries.map(([name, field]) => [name, value(random, field, manners, depth + 1)]),
  ) as object;
}

function some<T>(random: Random, depth: number, make: () => T): T[] {
  const most = depth > DEEPEST ? 0 : 2;
  return Array.from({ length: random.between(0, most) }, make);
}

function anything(random: Random, depth: number): unknown {
  switch (random.between(0, depth > DEEPEST ? 4 : 7)) {
    case 0:
      return null;
    case 1:
      return random.next() < 0.5;
    case 2:
      return random.pick(NUMBERS);
    case 3:
    case 4:
      return text(random, 'wild');
    case 5:
      return some(random, depth, () => anything(random, depth + 1));
    default:
      return Object.fromEntries(
        some(random, depth, () => [text(random, 'wild'), anything(random, depth + 1)]),
      );
  }
}
