import type { Operation, Parameter } from '../api/description.ts';
import type { Random } from '../random.ts';
import { type Manners, text, value } from './value.ts';

export interface HostileRequest {
  method: string;
  url: string;
  body?: Buffer | string;
  headers: Record<string, string>;
}

/** What exists while the requests are made, so that some of them hit. */
export interface Targets {
  containers: readonly [string, ...string[]];
  images: readonly [string, ...string[]];
}

const VERSIONS: readonly [string, ...string[]] = ['', '', '', '/v1.24', '/v1.41', '/v1.56'];
const CONTENT_TYPES: readonly [string, ...string[]] = [
  'application/json',
  'application/json; charset=utf-8',
  'text/plain',
  'application/x-tar',
  ';',
  'application/json\t',
];
const MANNERS: readonly [Manners, ...Manners[]] = ['valid', 'odd', 'odd', 'wild'];
const NESTED = 100_000;

/** A request for an operation that is right, nearly right, or wrong in every way there is. */
export function hostileRequest(random: Random, operation: Operation, targets: Targets): HostileRequest {
  const manners = random.pick(MANNERS);
  const route = operation.path.replaceAll(/\{(\w+)\}/g, () => pathPart(random, operation, targets));
  const version = random.next() < 0.02 ? '/v99.9' : random.pick(VERSIONS);
  const body = bodyOf(random, operation, manners, targets);
  const type = random.next() < 0.9 ? 'application/json' : random.pick(CONTENT_TYPES);
  return {
    method: operation.method,
    url: `${version}${route}${queryOf(random, operation, manners, targets)}`,
    headers: body === undefined && random.next() < 0.9 ? {} : { 'Content-Type': type },
    ...(body === undefined ? {} : { body }),
  };
}

function pathPart(random: Random, { path }: Operation, targets: Targets): string {
  const known = path.startsWith('/images') ? targets.images : targets.containers;
  if (random.next() < 0.75) return random.pick(known);
  return escape(text(random, 'odd'));
}

/** Lone surrogates cannot be written in a URL. */
function escape(part: string): string {
  return encodeURIComponent(part.toWellFormed()).replaceAll('%2F', '/');
}

function queryOf(random: Random, operation: Operation, manners: Manners, targets: Targets): string {
  const given = operation.parameters.filter((parameter) => parameter.in === 'query' && random.next() < 0.4);
  const pairs = given.map(
    (parameter) => `${parameter.name}=${escape(queryValue(random, parameter, manners, targets))}`,
  );
  if (manners === 'wild')
    pairs.push(random.pick(['unknown=1', '%zz=1', 'a=%', '&&==', ';a', `x=${'y'.repeat(5000)}`]));
  return pairs.length === 0 ? '' : `?${pairs.join('&')}`;
}

function queryValue(random: Random, parameter: Parameter, manners: Manners, targets: Targets): string {
  if (parameter.name === 'filters') return filters(random, manners);
  // A stop may wait as long as it is told to.
  if (parameter.name === 't') return random.pick(['0', '0', '1', '-5', 'x', '1e3', '99999999999999999999']);
  if (['container', 'name', 'repo', 'fromSrc'].includes(parameter.name) && random.next() < 0.5) {
    return random.pick(targets.containers);
  }
  const found = value(random, { type: parameter.type ?? 'string', enum: parameter.enum }, manners);
  return typeof found === 'string' ? found : JSON.stringify(found);
}

const FILTERS: readonly [string, ...string[]] = [
  'label',
  'label!',
  'name',
  'id',
  'status',
  'until',
  'since',
  'before',
  'dangling',
  'reference',
  'type',
  'event',
  'exited',
  'publish',
  'ancestor',
  'network',
  'volume',
  'health',
  'all',
  'driver',
  'scope',
  'nonsense',
];

function filters(random: Random, manners: Manners): string {
  if (manners === 'wild') return random.pick(['{', '[]', '{"label":5}', 'x', '{"a":{"b":"c"}}', '"']);
  const key = random.pick(FILTERS);
  const found = text(random, manners);
  return JSON.stringify({ [key]: random.next() < 0.5 ? [found] : { [found]: true } });
}

function bodyOf(
  random: Random,
  operation: Operation,
  manners: Manners,
  targets: Targets,
): Buffer | string | undefined {
  const parameter = operation.parameters.find((each) => each.in === 'body');
  if (parameter?.schema === undefined)
    return manners === 'wild' && random.next() < 0.3 ? 'unasked' : undefined;
  if (random.next() < 0.1) return brokenBody(random);
  const body = value(random, parameter.schema, manners);
  if (typeof body !== 'object' || body === null || Array.isArray(body)) return JSON.stringify(body) ?? '';
  // Most bodies name what is there, or nothing of the rest would be reached.
  const aimed =
    'Image' in body || operation.path === '/containers/create' ? { Image: random.pick(targets.images) } : {};
  return JSON.stringify(random.next() < 0.85 ? { ...body, ...aimed } : body);
}

function brokenBody(random: Random): Buffer | string {
  return random.pick<Buffer | string>([
    '',
    '{',
    'null',
    '[]',
    '""',
    '{"Image":"busybox"} trailing',
    '{"Image":',
    '\u{feff}{}',
    '['.repeat(NESTED),
    `${'{"a":'.repeat(NESTED)}1${'}'.repeat(NESTED)}`,
    `{"Labels":{"a":${'['.repeat(NESTED)}${']'.repeat(NESTED)}}}`,
    `{"Cmd":[${'"x",'.repeat(20_000)}"x"]}`,
    Buffer.from([0xff, 0xfe, 0x00, 0x7b, 0x7d]),
    Buffer.alloc(100_000, 0x20),
  ]);
}
