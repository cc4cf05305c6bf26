import { route, type Route } from '../router.ts';

const LIST_FILTERS = ['dangling', 'driver', 'id', 'label', 'name', 'scope', 'type'];

export const networkRoutes: readonly Route[] = [
  route('GET', '/networks', async (exchange, engine) => {
    exchange.json(200, await engine.networks.list(exchange.filters(LIST_FILTERS)));
  }),

  route('GET', '/networks/{id}', async (exchange, engine) => {
    exchange.json(200, await engine.networks.inspect(exchange.parameter('id')));
  }),
];
