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
    exchange.json(200, await engine.networks.inspect(exchange.parameter('id')));
  }),
];
