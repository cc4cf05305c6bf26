import assert from 'node:assert/strict';
import { test } from 'node:test';

import type { Engine } from '../src/api/server/engine.ts';
import type { Exchange } from '../src/api/server/exchange.ts';
import { decodeFilters } from '../src/api/server/filters.ts';
import { Query } from '../src/api/server/query.ts';
import { type Handler, Router } from '../src/api/server/router.ts';
import { ROUTES } from '../src/api/server/routes/all.ts';
import { notImplementedRoutes } from '../src/api/server/routes/not-implemented.ts';
import { ApiVersion } from '../src/api/server/version.ts';
import { OPERATIONS, type Parameter } from './api/description.ts';

const NO_BUILD_CACHE = 'there is no build cache';

/** What is described and not looked at, with the reason. */
const IGNORED: Readonly<Record<string, string>> = {
  'POST /containers/{id}/start: detachKeys': 'dockerd does not look at it either; an attach has its own',
  'GET /images/json: digests': 'they are told always, by dockerd too',
  'POST /images/create: fromImage': 'without "fromSrc" it is a pull, and refused',
  'POST /build/prune: all': NO_BUILD_CACHE,
  'POST /build/prune: filters': NO_BUILD_CACHE,
  'POST /build/prune: reserved-space': NO_BUILD_CACHE,
  'POST /build/prune: max-used-space': NO_BUILD_CACHE,
  'POST /build/prune: min-free-space': NO_BUILD_CACHE,
  'GET /plugins: filters': 'there are no plugins',
};

/** Keeps which parameters it was asked for. */
class WatchedQuery extends Query {
  readonly asked = new Set<string>();

  override has(key: string): boolean {
    this.asked.add(key);
    return super.has(key);
  }

  override all(key: string): string[] {
    // The constructor asks before there is a set.
    (this.asked as Set<string> | undefined)?.add(key);
    return super.all(key);
  }
}

/** What the handlers take, so that they come to the engine. */
const VALUES: Readonly<Record<string, string>> = {
  condition: 'removed',
  detachKeys: 'ctrl-a',
  filters: '{}',
  fromSrc: '-',
  identity: '0',
  manifests: '0',
  platform: '{"os":"linux","architecture":"amd64"}',
  platforms: '{"os":"linux","architecture":"amd64"}',
  type: 'container',
};

function valueOf({ name, type }: Parameter): string {
  const isText = type === 'string' && name !== 'since' && name !== 'until';
  return VALUES[name] ?? (isText || type === 'array' ? 'x' : '1');
}

class Reached extends Error {}

/** An engine whose every part, called or asked for something, ends the handler. */
const engine: unknown = new Proxy(() => {}, {
  get: () => engine,
  apply: () => {
    throw new Reached();
  },
});

/** The names of the parameters that a handler reads, of a request with all that are described, until it comes to the engine. */
async function read(handler: Handler, described: readonly Parameter[]): Promise<ReadonlySet<string>> {
  const pairs = described.map((parameter) => `${parameter.name}=${encodeURIComponent(valueOf(parameter))}`);
  const query = new WatchedQuery(pairs.join('&'));
  const nothing = (): void => {};
  const exchange = {
    query,
    version: new ApiVersion(),
    parameter: () => 'x',
    filters: () => decodeFilters(query.text('filters')),
    body: () => ({ Image: 'x', Cmd: ['x'] }),
    json: nothing,
    text: nothing,
    request: { headers: {}, destroyed: true, pipe: nothing, once: nothing, unpipe: nothing },
    response: { setHeader: nothing },
  } as unknown as Exchange;
  if (handler === CREATE) exchange.request.headers['content-length'] = '2';
  try {
    await handler(exchange, engine as Engine);
  } catch (error) {
    if (!(error instanceof Reached) && described.length > 0) throw error;
  }
  return query.asked;
}

const router = new Router(ROUTES);
const CREATE = router.find('POST', '/containers/create')?.handler;
const refusals = new Set(notImplementedRoutes.map(({ handler }) => handler));

test('every query parameter that is described is read by the operation that has it', async () => {
  const ignored: string[] = [];
  for (const { method, path, parameters } of OPERATIONS) {
    const handler = router.find(method, path.replaceAll(/[{}]/g, ''))?.handler;
    assert.ok(handler, `${method} ${path} has no route`);
    if (refusals.has(handler)) continue;
    const described = parameters.filter((parameter) => parameter.in === 'query');
    const asked = await read(handler, described);
    const unread = described.filter(({ name }) => !asked.has(name));
    ignored.push(...unread.map(({ name }) => `${method} ${path}: ${name}`));
  }
  assert.deepEqual(ignored.toSorted(), Object.keys(IGNORED).toSorted());
});
