import { invalid } from '#/base/errors.ts';
import { route, type Route } from '../router.ts';

/** What Docker's API has no word for. */
export const hullRoutes: readonly Route[] = [
  route('POST', '/hull/images/bootstrap', async (exchange, engine) => {
    const { query } = exchange;
    const reference = query.given('reference');
    if (reference === undefined)
      throw invalid('Cannot bootstrap without "reference", as in "debian:bookworm"');
    const mirror = query.given('mirror');
    const options = { reference, ...(mirror === undefined ? {} : { mirror }) };
    await exchange.jsonLines(engine.images.bootstrap(options, exchange.signal));
  }),
  route('POST', '/hull/containers/{id}/convert', async (exchange, engine) => {
    const isolation = exchange.query.given('isolation');
    if (isolation === undefined) throw invalid('Cannot convert without "isolation": "container" or "vm"');
    await engine.lifecycle.convert(exchange.parameter('id'), isolation);
    exchange.empty();
  }),
];
