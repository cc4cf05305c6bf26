import { invalid, notFound } from '#/base/errors.ts';
import { parseUnixTime } from '#/base/time.ts';
import { diskUsageOptions } from '../compat/disk-usage.ts';
import { eventText } from '../compat/events.ts';
import { adaptInfo } from '../compat/system-info.ts';
import { jsonStreamMediaType } from '../compat/output-media-type.ts';
import { systemDiskUsage } from '../disk-usage.ts';
import type { Exchange } from '../exchange.ts';
import { writeAll } from '../frames.ts';
import { route, type Route } from '../router.ts';

const ping = (exchange: Exchange): void => {
  const { response } = exchange;
  response.setHeader('Builder-Version', '2');
  response.setHeader('Swarm', 'inactive');
  response.setHeader('Cache-Control', 'no-cache, no-store, must-revalidate');
  response.setHeader('Pragma', 'no-cache');
  exchange.text(200, exchange.request.method === 'HEAD' ? '' : 'OK');
};

export const systemRoutes: readonly Route[] = [
  route('GET', '/_ping', ping),
  route('HEAD', '/_ping', ping),
  route('GET', '/version', async (exchange, engine) => {
    exchange.json(200, await engine.system.version());
  }),

  route('GET', '/info', async (exchange, engine) => {
    exchange.json(200, adaptInfo(await engine.system.info(), exchange.version));
  }),

  route('GET', '/system/df', async (exchange, engine) => {
    exchange.json(200, await systemDiskUsage(engine, diskUsageOptions(exchange.query, exchange.version)));
  }),

  // There is no build cache; `docker system prune` asks all the same.
  route('POST', '/build/prune', (exchange) => {
    exchange.json(200, { CachesDeleted: null, SpaceReclaimed: 0 });
  }),

  // There are none. The docker CLI's `inspect` asks here too and goes on when it hears so; 501 would end it.
  route('GET', '/plugins', (exchange) => exchange.json(200, [])),
  route('GET', '/plugins/{name}/json', (exchange) => {
    throw notFound(`plugin "${exchange.parameter('name')}" not found`);
  }),

  route('GET', '/events', async (exchange, engine) => {
    const { query, version } = exchange;
    const since = moment(query.text('since'));
    const until = moment(query.text('until'));
    if (since !== undefined && until !== undefined && since > until) {
      throw invalid(
        `\`since\` time (${query.text('since')}) cannot be after \`until\` time (${query.text('until')})`,
      );
    }
    const asked = {
      filters: exchange.filters(),
      ...(since === undefined ? {} : { since }),
      ...(until === undefined ? {} : { until }),
    };
    const events = engine.events.subscribe(asked, exchange.signal);
    const mediaType = jsonStreamMediaType(exchange.request.headers.accept);
    exchange.begin(200, mediaType);
    for await (const event of events) {
      await writeAll(exchange.response, eventText(event, version, mediaType));
    }
    exchange.response.end();
  }),
];

function moment(text: string): bigint | undefined {
  return text === '' ? undefined : parseUnixTime(text);
}
