import assert from 'node:assert/strict';
import { test } from 'node:test';

import { parseListeners } from './guest-listeners.ts';

test('parseListeners() reads what it knows, and nothing else that a guest may say', () => {
  const text = [
    'tcp 0.0.0.0 80',
    'udp :: 53',
    'sctp 0.0.0.0 80',
    'tcp 0.0.0.0 80; drop',
    'tcp 0.0.0.0 0',
    'tcp 0.0.0.0 65536',
    'tcp 0.0.0.0 8e1x',
    'tcp elsewhere 80',
    'tcp 0.0.0.0 80 81',
    '',
  ].join('\n');
  assert.deepEqual(parseListeners(text), [
    { protocol: 'tcp', address: '0.0.0.0', port: 80 },
    { protocol: 'udp', address: '::', port: 53 },
  ]);
});
