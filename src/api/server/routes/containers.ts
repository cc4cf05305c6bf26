import { invalid } from '#/base/errors.ts';
import type { ContainerCreateBody, ContainerUpdateBody } from '#/wire/generated.ts';
import { adaptCreateBody, createWarnings } from '../compat/container-create.ts';
import { adaptInspect } from '../compat/container-inspect.ts';
import type { StopOptions, WaitCondition } from '../engine.ts';
import type { Exchange } from '../exchange.ts';
import { hasBody } from '../content-type.ts';
import { type Route, route } from '../router.ts';
import { terminalSize } from '../terminal-size.ts';

/** moby's daemon/list.go, acceptedPsFilterTags */
const LIST_FILTERS =
  'ancestor before exited expose health id isolation is-task label name network publish since status volume'.split(
    ' ',
  );
const PRUNE_FILTERS = ['label', 'label!', 'until'];
/** moby's daemon/server/router/container/container_routes.go, postContainersStart */
const LONGEST_EMPTY_BODY = 7;
const WAIT_CONDITIONS = ['not-running', 'next-exit', 'removed'];

export const containerRoutes: readonly Route[] = [
  route('GET', '/containers/json', async (exchange, engine) => {
    const { query } = exchange;
    const filters = exchange.filters(LIST_FILTERS);
    const limit = query.integer('limit');
    exchange.json(
      200,
      await engine.queries.list({
        all: query.flag('all'),
        size: query.flag('size'),
        filters,
        ...(limit === undefined || limit <= 0 ? {} : { limit }),
      }),
    );
  }),

  route('POST', '/containers/create', async (exchange, engine) => {
    if (!hasBody(exchange.request)) throw invalid('invalid JSON: got EOF while reading request body');
    const body = await exchange.body<ContainerCreateBody>('ContainerCreateBody');
    if (Object.keys(body).length === 0) {
      throw invalid('config cannot be empty in order to create a container');
    }
    const { query, version } = exchange;
    const name = query.given('name');
    const platform = version.below('1.41') ? undefined : query.given('platform');
    const adapted = adaptCreateBody(body, version);
    // Since API 1.44 read-only is so for what is mounted below, too.
    const readOnlyNonRecursive = version.below('1.44');
    const request = { body: adapted, readOnlyNonRecursive, ...defined({ name, platform }) };
    const created = await engine.lifecycle.create(request);
    const warnings = [...createWarnings(body, version), ...(created.Warnings ?? [])];
    exchange.json(201, { Id: created.Id, Warnings: warnings });
  }),

  route('GET', '/containers/{id}/json', async (exchange, engine) => {
    const size = exchange.query.flag('size');
    const container = await engine.queries.inspect(exchange.parameter('id'), { size });
    exchange.json(200, adaptInspect(container, exchange.version));
  }),

  route('GET', '/containers/{id}/top', async (exchange, engine) => {
    const psArgs = exchange.query.text('ps_args');
    exchange.json(200, await engine.queries.top(exchange.parameter('id'), psArgs));
  }),

  route('POST', '/containers/{id}/start', async (exchange, engine) => {
    const { query, request } = exchange;
    // A host configuration was sent here once; an empty object still is.
    const length = Number(request.headers['content-length'] ?? 0);
    if (length > LONGEST_EMPTY_BODY || request.headers['transfer-encoding'] !== undefined) {
      throw invalid(
        'starting container with non-empty request body was deprecated since API v1.22 and removed in v1.24',
      );
    }
    const checkpoint = query.given('checkpoint');
    await engine.lifecycle.start(
      exchange.parameter('id'),
      checkpoint === undefined ? undefined : { id: checkpoint, directory: query.given('checkpoint-dir') },
    );
    exchange.empty();
  }),

  route('POST', '/containers/{id}/stop', async (exchange, engine) => {
    await engine.lifecycle.stop(exchange.parameter('id'), stopOptions(exchange));
    exchange.empty();
  }),

  route('POST', '/containers/{id}/restart', async (exchange, engine) => {
    await engine.lifecycle.restart(exchange.parameter('id'), stopOptions(exchange));
    exchange.empty();
  }),

  route('POST', '/containers/{id}/kill', async (exchange, engine) => {
    await engine.lifecycle.kill(exchange.parameter('id'), exchange.query.given('signal'));
    exchange.empty();
  }),

  route('POST', '/containers/{id}/pause', async (exchange, engine) => {
    await engine.lifecycle.pause(exchange.parameter('id'));
    exchange.empty();
  }),

  route('POST', '/containers/{id}/unpause', async (exchange, engine) => {
    await engine.lifecycle.unpause(exchange.parameter('id'));
    exchange.empty();
  }),

  route('POST', '/containers/{id}/update', async (exchange, engine) => {
    const body = await exchange.body<ContainerUpdateBody>('ContainerUpdateBody');
    const { Warnings } = await engine.lifecycle.update(exchange.parameter('id'), body);
    // Go writes null for a list that nothing was added to.
    exchange.json(200, { Warnings: Warnings.length > 0 ? Warnings : null });
  }),

  route('POST', '/containers/{id}/rename', async (exchange, engine) => {
    await engine.lifecycle.rename(exchange.parameter('id'), exchange.query.text('name'));
    exchange.empty();
  }),

  route('POST', '/containers/{id}/resize', async (exchange, engine) => {
    const size = terminalSize(exchange.query);
    await engine.lifecycle.resize(exchange.parameter('id'), size);
    exchange.empty(200);
  }),

  route('POST', '/containers/{id}/wait', async (exchange, engine) => {
    const condition = waitCondition(exchange);
    const { result } = await engine.lifecycle.wait(exchange.parameter('id'), condition, exchange.signal);
    // The client starts the container only once it has seen that its wait is registered.
    if (!exchange.version.below('1.30')) exchange.begin(200, 'application/json');
    const { StatusCode, Error: failure } = await result;
    const answer = `${JSON.stringify({ StatusCode, ...defined({ Error: failure ?? undefined }) })}\n`;
    if (!exchange.response.headersSent) exchange.begin(200, 'application/json');
    exchange.response.end(answer);
  }),

  route('DELETE', '/containers/{id}', async (exchange, engine) => {
    const { query } = exchange;
    const options = { force: query.flag('force'), volumes: query.flag('v'), link: query.flag('link') };
    await engine.lifecycle.remove(exchange.parameter('id'), options);
    exchange.empty();
  }),

  route('POST', '/containers/prune', async (exchange, engine) => {
    const { ContainersDeleted, SpaceReclaimed } = await engine.lifecycle.prune(
      exchange.filters(PRUNE_FILTERS),
    );
    // Go writes null for a list that nothing was added to.
    exchange.json(200, {
      ContainersDeleted: ContainersDeleted?.length ? ContainersDeleted : null,
      SpaceReclaimed,
    });
  }),
];

function stopOptions({ query, version }: Exchange): StopOptions {
  const signal = version.below('1.42') ? undefined : query.given('signal');
  return defined({ signal, timeout: query.integer('t') });
}

function waitCondition({ query, version }: Exchange): WaitCondition {
  const condition = version.below('1.30') ? '' : query.text('condition');
  if (condition === '') return 'not-running';
  if (!WAIT_CONDITIONS.includes(condition)) throw invalid(`invalid condition: "${condition}"`);
  return condition as WaitCondition;
}

/** Without the properties that are undefined. */
function defined<T extends object>(values: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  const entries = Object.entries(values).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as { [K in keyof T]?: Exclude<T[K], undefined> };
}
