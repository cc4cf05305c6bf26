import { notFound } from '#/base/errors.ts';
import { untilFilter } from '#/base/until-filter.ts';
import type { NetworkCreateRequest } from '#/wire/generated.ts';
import { route, type Route } from '../router.ts';

const LIST_FILTERS = ['dangling', 'driver', 'id', 'label', 'name', 'scope', 'type'];
const PRUNE_FILTERS = ['label', 'label!', 'until'];

export const networkRoutes: readonly Route[] = [
  route('GET', '/networks', async (exchange, engine) => {
    exchange.json(200, await engine.networks.list(exchange.filters(LIST_FILTERS)));
  }),

  route('POST', '/networks/create', async (exchange, engine) => {
    const { Name: name = '' } = await exchange.body<Partial<NetworkCreateRequest>>('NetworkCreateRequest');
    exchange.json(201, await engine.networks.create(name));
  }),

  route('POST', '/networks/prune', async (exchange, engine) => {
    untilFilter(exchange.filters(PRUNE_FILTERS));
    const { NetworksDeleted } = await engine.networks.prune();
    // Go writes null for a list that nothing was added to.
    exchange.json(200, { NetworksDeleted: NetworksDeleted.length > 0 ? NetworksDeleted : null });
  }),

  route('DELETE', '/networks/{id}', async (exchange, engine) => {
    await engine.networks.remove(exchange.parameter('id'));
    exchange.empty();
  }),

  route('GET', '/networks/{id}', async (exchange, engine) => {
    const { query } = exchange;
    // Of services, of which there are none.
    query.boolean('verbose');
    const scope = query.given('scope');
    const reference = exchange.parameter('id');
    const network = await engine.networks.inspect(reference);
    if (scope !== undefined && scope !== network.Scope) throw notFound(`network ${reference} not found`);
    exchange.json(200, network);
  }),
];
