import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EventLog } from './events.ts';
import { PruneTurn } from './prune-turn.ts';

test('PruneTurn lets one in at a time and tells what it gave back', async () => {
  const events = new EventLog();
  const turn = new PruneTurn(events, 'volume');
  const { promise, resolve } = Promise.withResolvers<{ SpaceReclaimed: number }>();
  const first = turn.run(() => promise);
  await assert.rejects(
    turn.run(() => ({})),
    { kind: 'conflict', message: 'a prune operation is already running' },
  );
  resolve({ SpaceReclaimed: 7 });
  await first;
  await turn.run(() => ({}));
  const told: string[] = [];
  for await (const { Type, Action, Actor } of events.subscribe(
    { since: 0n, until: 2n ** 62n },
    AbortSignal.timeout(1),
  )) {
    told.push(`${Type} ${Action} ${Actor.Attributes['reclaimed']}`);
  }
  assert.deepEqual(told, ['volume prune 7', 'volume prune 0']);
});

test('PruneTurn gives the turn back after a failure', async () => {
  const turn = new PruneTurn(new EventLog(), 'image');
  await assert.rejects(turn.run(() => Promise.reject(new Error('no'))));
  assert.deepEqual(await turn.run(() => ({})), {});
});
