import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EventLog } from '#/state/events.ts';
import { ApiVersion } from '../version.ts';
import { eventText } from './events.ts';

const event = {
  ...new EventLog().publish({
    type: 'container',
    action: 'start',
    id: 'abc',
    attributes: { image: 'busybox' },
  }),
  timeNano: 1_732_200_000_123_456_789n,
};

test('eventText() writes every nanosecond', () => {
  assert.match(eventText(event, new ApiVersion(), ''), /,"timeNano":1732200000123456789\}\n$/);
});

test('eventText() gives old clients the fields that they read', () => {
  const { status, id, from } = JSON.parse(eventText(event, new ApiVersion('1.51'), '')) as Record<
    string,
    string
  >;
  assert.deepEqual([status, id, from], ['start', 'abc', 'busybox']);
  assert.ok(!('status' in (JSON.parse(eventText(event, new ApiVersion(), '')) as object)));
});

test('eventText() marks the texts of a sequence', () => {
  assert.ok(eventText(event, new ApiVersion(), 'application/json-seq').startsWith('\u001e{'));
});
