import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nowNanos } from '#/base/time.ts';
import { EventLog, type EngineEvent } from './events.ts';

function container(action: string, attributes: Record<string, string> = {}) {
  return {
    type: 'container',
    action,
    id: 'c0ffee',
    attributes: { image: 'busybox:1', ...attributes },
  } as const;
}

async function actions(events: AsyncIterable<EngineEvent>): Promise<string[]> {
  const seen: string[] = [];
  for await (const event of events) seen.push(event.Action);
  return seen;
}

test('EventLog.publish() fills the fields that old clients read', () => {
  const events = new EventLog();
  const event = events.publish(container('create', { name: 'web' }));
  assert.equal(event.status, 'create');
  assert.equal(event.id, 'c0ffee');
  assert.equal(event.from, 'busybox:1');
  assert.equal(events.publish({ type: 'volume', action: 'create', id: 'v' }).status, undefined);
});

test('EventLog.subscribe() replays the last 256 since a moment and ends at once when until has passed', async () => {
  const events = new EventLog();
  for (let i = 0; i < 300; i += 1) events.publish(container(`a${i}`));
  const middle = nowNanos();
  events.publish(container('late'));
  assert.equal((await actions(events.subscribe({ since: 0n, until: nowNanos() }))).length, 256);
  assert.deepEqual(await actions(events.subscribe({ since: middle, until: nowNanos() })), ['late']);
  assert.equal(events.readers, 0);
});

test('EventLog.subscribe() gives what comes until the signal, and nothing from before', async () => {
  const events = new EventLog();
  events.publish(container('before'));
  const abort = new AbortController();
  const subscription = events.subscribe({}, abort.signal);
  events.publish(container('one'));
  events.publish(container('two'));
  abort.abort();
  events.publish(container('after'));
  assert.deepEqual(await actions(subscription), ['one', 'two']);
  assert.equal(events.readers, 0);
});

test('EventLog.subscribe() stops listening when the reader leaves', async () => {
  const events = new EventLog();
  const subscription = events.subscribe();
  events.publish(container('one'));
  for await (const _ of subscription) break;
  assert.equal(events.readers, 0);
});

test('EventLog filters as docker events does', async () => {
  const events = new EventLog();
  events.publish(container('create', { name: 'web', tier: 'front' }));
  events.publish(container('exec_create: sh', { name: 'web' }));
  events.publish({ type: 'image', action: 'tag', id: 'sha256:1', attributes: { name: 'busybox:1' } });
  events.publish({ type: 'network', action: 'connect', id: 'n1', attributes: { name: 'bridge' } });
  const cases: [Record<string, string[]>, string[]][] = [
    [{ type: ['image'] }, ['tag']],
    [{ event: ['exec_create'] }, ['exec_create: sh']],
    [{ container: ['we'] }, ['create', 'exec_create: sh']],
    [{ image: ['busybox'] }, ['create', 'exec_create: sh', 'tag']],
    [{ image: ['busybox:1'], type: ['image'] }, ['tag']],
    [{ label: ['tier=front'] }, ['create']],
    [{ network: ['bridge'] }, ['connect']],
    [{ event: ['create', 'tag'] }, ['create', 'tag']],
    [{ scope: ['swarm'] }, []],
  ];
  for (const [filters, expected] of cases) {
    assert.deepEqual(await actions(events.subscribe({ since: 0n, until: nowNanos(), filters })), expected);
  }
});
