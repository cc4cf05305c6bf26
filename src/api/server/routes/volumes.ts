import { route, type Route } from '../router.ts';
import type { VolumeCreateRequest } from '#/wire/generated.ts';

const LIST_FILTERS = ['dangling', 'name', 'driver', 'label'];
const PRUNE_FILTERS = ['all', 'label', 'label!'];

export const volumeRoutes: readonly Route[] = [
  route('GET', '/volumes', async (exchange, engine) => {
    const volumes = await engine.volumes.list(exchange.filters(LIST_FILTERS));
    exchange.json(200, { Volumes: volumes, Warnings: null });
  }),

  route('POST', '/volumes/create', async (exchange, engine) => {
    const body = await exchange.body<VolumeCreateRequest>('VolumeCreateRequest');
    const volume = await engine.volumes.create({
      name: body.Name ?? '',
      driver: body.Driver ?? '',
      options: body.DriverOpts ?? {},
      labels: body.Labels ?? {},
    });
    exchange.json(201, volume);
  }),

  route('POST', '/volumes/prune', async (exchange, engine) => {
    const filters = exchange.filters(PRUNE_FILTERS);
    // Before API 1.42 a prune took named volumes too.
    if (exchange.version.below('1.42') && filters['all'] === undefined) filters['all'] = ['true'];
    const { VolumesDeleted, SpaceReclaimed } = await engine.volumes.prune(filters);
    // Go writes null for a list that nothing was added to.
    exchange.json(200, { VolumesDeleted: VolumesDeleted?.length ? VolumesDeleted : null, SpaceReclaimed });
  }),

  route('GET', '/volumes/{name}', async (exchange, engine) => {
    exchange.json(200, await engine.volumes.inspect(exchange.parameter('name')));
  }),

  route('DELETE', '/volumes/{name}', async (exchange, engine) => {
    await engine.volumes.remove(exchange.parameter('name'), { force: exchange.query.flag('force') });
    exchange.empty();
  }),
];
