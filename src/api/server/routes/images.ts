import { invalid, notImplemented } from '#/base/errors.ts';
import type { Platform } from '#/oci/platform.ts';
import { adaptImageInspect, adaptImageSummary } from '../compat/images.ts';
import type { Exchange } from '../exchange.ts';
import { writeAll } from '../frames.ts';
import { platformParameters } from '../platform-parameters.ts';
import { type Route, route } from '../router.ts';
import type { Engine } from '../engine.ts';

const LIST_FILTERS = ['dangling', 'label', 'label!', 'before', 'since', 'reference', 'until'];
const PRUNE_FILTERS = ['dangling', 'label', 'label!', 'until'];

export const imageRoutes: readonly Route[] = [
  route('GET', '/images/json', async (exchange, engine) => {
    const { query, version } = exchange;
    const filters = exchange.filters(LIST_FILTERS);
    // There are no lists of manifests to tell of: an image here has one platform.
    if (!version.below('1.54') && !query.flag('manifests') && query.flag('identity')) {
      throw invalid('conflicting options: identity requires manifests=1');
    }
    const images = await engine.images.list({
      all: query.flag('all'),
      sharedSize: query.flag('shared-size'),
      containers: query.flag('containers'),
      filters,
    });
    exchange.json(
      200,
      images.map((image) => adaptImageSummary(image, version)),
    );
  }),

  route('GET', '/images/get', (exchange, engine) => save(exchange, engine, exchange.query.all('names'))),
  route('GET', '/images/{name}/get', (exchange, engine) =>
    save(exchange, engine, [exchange.parameter('name')]),
  ),

  route('POST', '/images/load', async (exchange, engine) => {
    const [platform, another] = platformsOf(exchange, 'platform', '1.48');
    if (another !== undefined) throw invalid('Hull loads an image of one platform under a name: choose one');
    const options = { quiet: exchange.query.flag('quiet'), platform };
    // Whatever becomes of it the answer is 200. With `quiet` it begins when an image is there, which some clients take for the end.
    const messages = engine.images.load(exchange.request, options, exchange.signal);
    await exchange.jsonLines(messages, { errors: 'inStream' });
  }),

  route('POST', '/images/create', async (exchange, engine) => {
    const { query } = exchange;
    const source = query.text('fromSrc');
    if (source === '') {
      throw notImplemented('Hull does not pull from registries yet: load, import or bootstrap the image');
    }
    if (source !== '-')
      throw notImplemented('Hull imports only what the request carries: fromSrc must be "-"');
    const repository = query.text('repo');
    const tag = query.text('tag');
    const reference = tag === '' ? repository : `${repository}:${tag}`;
    const message = query.given('message');
    const platform = query.given('platform');
    const options = {
      changes: query.all('changes'),
      ...(reference === '' ? {} : { reference }),
      ...(message === undefined ? {} : { message }),
      ...(platform === undefined ? {} : { platform }),
    };
    await exchange.jsonLines(engine.images.import(exchange.request, options, exchange.signal));
  }),

  route('POST', '/images/prune', async (exchange, engine) => {
    const { ImagesDeleted, SpaceReclaimed } = await engine.images.prune(exchange.filters(PRUNE_FILTERS));
    // Go writes null for a list that nothing was added to.
    exchange.json(200, { ImagesDeleted: ImagesDeleted?.length ? ImagesDeleted : null, SpaceReclaimed });
  }),

  route('GET', '/images/{name}/json', async (exchange, engine) => {
    const platforms = platformsOf(exchange, 'platform', '1.49');
    if (!exchange.version.below('1.48') && exchange.query.flag('manifests') && platforms.length > 0) {
      throw invalid('conflicting options: manifests and platform options cannot both be set');
    }
    const image = await engine.images.inspect(exchange.parameter('name'), { platforms });
    exchange.json(200, adaptImageInspect(image, exchange.version, exchange.request.headers['user-agent']));
  }),

  route('GET', '/images/{name}/history', async (exchange, engine) => {
    const platforms = platformsOf(exchange, 'platform', '1.48');
    exchange.json(200, await engine.images.history(exchange.parameter('name'), { platforms }));
  }),

  route('POST', '/images/{name}/tag', async (exchange, engine) => {
    const { query } = exchange;
    const tag = query.text('tag');
    const target = tag === '' ? query.text('repo') : `${query.text('repo')}:${tag}`;
    await engine.images.tag(exchange.parameter('name'), target);
    exchange.empty(201);
  }),

  route('DELETE', '/images/{name}', async (exchange, engine) => {
    const name = exchange.parameter('name');
    if (name.trim() === '') throw invalid('image name cannot be blank');
    const options = {
      force: exchange.query.flag('force'),
      noPrune: exchange.query.flag('noprune'),
      platforms: platformsOf(exchange, 'platforms', '1.50'),
    };
    exchange.json(200, await engine.images.remove(name, options));
  }),
];

/** Clients of before a parameter's version may send it all the same. */
function platformsOf({ query, version }: Exchange, key: string, since: string): Platform[] {
  return version.below(since) ? [] : platformParameters(query, key);
}

async function save(exchange: Exchange, engine: Engine, names: readonly string[]): Promise<void> {
  // Compose and others join several names with commas in one parameter.
  const references = names.flatMap((name) => name.split(',')).filter((name) => name !== '');
  const platforms = platformsOf(exchange, 'platform', '1.48');
  const tar = await engine.images.save(references, { platforms }, exchange.signal);
  exchange.begin(200, 'application/x-tar');
  try {
    for await (const chunk of tar as AsyncIterable<Buffer>) {
      await writeAll(exchange.response, chunk);
      if (exchange.signal.aborted) return;
    }
    exchange.response.end();
  } catch {
    // The status is gone; a connection that breaks off is what tells the client that the archive is not whole.
    exchange.response.destroy();
  }
}
