import { readFileSync } from 'node:fs';
import path from 'node:path';

import { parse } from 'yaml';

import { CHECKOUT } from '../daemons.ts';

/**
 * The API description, to hold answers against: whether each has the required fields, the types and the values that the
 * operation's schema for its status names, and no field that it does not name.
 */
export interface Schema {
  type?: string;
  format?: string;
  $ref?: string;
  enum?: unknown[];
  items?: Schema;
  properties?: Record<string, Schema>;
  additionalProperties?: Schema | boolean;
  allOf?: Schema[];
  required?: string[];
  'x-nullable'?: boolean;
}

export interface Parameter {
  name: string;
  in: 'path' | 'query' | 'body' | 'header';
  type?: string;
  enum?: unknown[];
  schema?: Schema;
}

export interface Operation {
  method: string;
  /** `/containers/{id}/json` */
  path: string;
  parameters: Parameter[];
  responses: Record<string, { schema?: Schema }>;
}

interface Description {
  definitions: Record<string, Schema>;
  paths: Record<string, Record<string, Partial<Operation>>>;
}

const FILE = path.join(CHECKOUT, 'src/wire/docker-engine-api-v1.56.yaml');
/** What Docker answers otherwise than its description says; its clients depend on it, so Hull does likewise. */
const EXCEPTIONS: readonly RegExp[] = [
  // A pointer in Go, without "omitempty": null is "not set".
  /HostConfig\.MemorySwappiness is null$/,
  // Null until the exec has ended.
  /^answer\.ExitCode is null$/,
  // The lists of before API 1.52 stay beside the sums unless `verbose` is asked for.
  /^answer\.(LayersSize|Images|Containers|Volumes|BuildCache) is not described$/,
  // Set by a builder of old, and left out when empty.
  /^answer\.(Parent|DockerVersion) is not described$/,
];

const ERROR: Schema = { $ref: '#/definitions/ErrorResponse' };

const description = parse(readFileSync(FILE, 'utf8')) as Description;

export const OPERATIONS: readonly Operation[] = Object.entries(description.paths).flatMap(
  ([route, methods]) =>
    Object.entries(methods).map(([method, { parameters = [], responses = {} }]) => ({
      method: method.toUpperCase(),
      path: route,
      parameters,
      responses,
    })),
);

/** Those with a parameter come last, because it takes slashes too: `/images/json` is no image's name. */
const PATTERNS = OPERATIONS.map((operation) => ({
  operation,
  pattern: new RegExp(`^${operation.path.replaceAll(/\{\w+\}/g, '.+?')}$`, 's'),
})).toSorted((a, b) => a.operation.path.split('{').length - b.operation.path.split('{').length);

function operationOf(method: string, pathname: string): Operation | undefined {
  return PATTERNS.find(({ operation, pattern }) => operation.method === method && pattern.test(pathname))
    ?.operation;
}

/** What is wrong with an answer's JSON, one line each; nothing when the description does not speak of it. */
export function faults(method: string, url: string, status: number, body: unknown): string[] {
  const pathname = decodeURIComponent(url.replace(/\?.*$/s, '').replace(/^\/v[\d.]+\//, '/'));
  const operation = operationOf(method, pathname);
  if (operation === undefined) return [];
  const schema = status >= 400 ? ERROR : operation.responses[status]?.schema;
  if (schema === undefined) return [];
  return compare(schema, body, 'answer').filter((fault) => !EXCEPTIONS.some((known) => known.test(fault)));
}

/** A schema with its reference followed and what it is composed of put together. */
export function resolved(schema: Schema): Schema {
  if (schema.$ref !== undefined) {
    const name = schema.$ref.slice(schema.$ref.lastIndexOf('/') + 1);
    const target = description.definitions[name];
    if (target === undefined) throw new Error(`no definition ${name}`);
    return resolved(target);
  }
  if (schema.allOf === undefined) return schema;
  const parts = [...schema.allOf.map(resolved), { ...schema, allOf: undefined }];
  return {
    ...Object.assign({}, ...parts),
    properties: Object.assign({}, ...parts.map(({ properties }) => properties)) as Record<string, Schema>,
    required: parts.flatMap(({ required = [] }) => required),
  };
}

function compare(given: Schema, value: unknown, at: string): string[] {
  const schema = resolved(given);
  if (value === null) {
    // Go writes null for a list or a map that nothing was put into, and the description does not always say so.
    const nullable = given['x-nullable'] === true || schema['x-nullable'] === true;
    return nullable || ['array', 'object'].includes(schema.type ?? '') ? [] : [`${at} is null`];
  }
  const found = Array.isArray(value) ? 'array' : typeof value;
  const wanted = schema.type === 'integer' ? 'number' : schema.type;
  if (wanted !== undefined && found !== wanted) return [`${at} should be ${schema.type}, is ${found}`];
  if (schema.type === 'integer' && !Number.isInteger(value))
    return [`${at} should be whole, is ${JSON.stringify(value)}`];
  const text = JSON.stringify(value);
  if (schema.enum?.every((each) => JSON.stringify(each) !== text)) {
    return [`${at} is ${text}, none of ${JSON.stringify(schema.enum)}`];
  }
  if (Array.isArray(value)) {
    return value.flatMap((item, index) => compare(schema.items ?? {}, item, `${at}[${index}]`));
  }
  return typeof value === 'object' ? compareObject(schema, value as Record<string, unknown>, at) : [];
}

function compareObject(schema: Schema, value: Record<string, unknown>, at: string): string[] {
  const { properties, additionalProperties, required = [] } = schema;
  const missing = required
    .filter((name) => value[name] === undefined)
    .map((name) => `${at}.${name} is missing`);
  const wrong = Object.entries(value).flatMap(([name, inner]) => {
    const property = properties?.[name];
    if (property !== undefined) return compare(property, inner, `${at}.${name}`);
    if (typeof additionalProperties === 'object')
      return compare(additionalProperties, inner, `${at}.${name}`);
    return properties === undefined || additionalProperties === true
      ? []
      : [`${at}.${name} is not described`];
  });
  return [...missing, ...wrong];
}
