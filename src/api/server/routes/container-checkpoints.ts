import type { CheckpointCreateRequest } from '#/wire/undescribed.ts';
import { type Route, route } from '../router.ts';

/** dockerd serves these in its experimental mode only (moby's api/server/router/checkpoint); here they always are. */
export const containerCheckpointRoutes: readonly Route[] = [
  route('GET', '/containers/{id}/checkpoints', (exchange, engine) => {
    const list = engine.checkpoints.list(exchange.parameter('id'), exchange.query.given('dir'));
    // Go writes null for a list that nothing was added to.
    exchange.json(200, list.length === 0 ? null : list);
  }),

  route('POST', '/containers/{id}/checkpoints', async (exchange, engine) => {
    const body = await exchange.body<CheckpointCreateRequest>('CheckpointCreateRequest');
    await engine.checkpoints.create(exchange.parameter('id'), body);
    exchange.empty(201);
  }),

  route('DELETE', '/containers/{id}/checkpoints/{checkpoint}', (exchange, engine) => {
    const checkpoint = { id: exchange.parameter('checkpoint'), directory: exchange.query.given('dir') };
    engine.checkpoints.remove(exchange.parameter('id'), checkpoint);
    exchange.empty();
  }),
];
