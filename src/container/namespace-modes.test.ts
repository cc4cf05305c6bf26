import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseIpcMode, parseNamespaceMode, parseNetworkMode } from './namespace-modes.ts';

test("parseIpcMode() knows all of Docker's modes", () => {
  for (const kind of ['none', 'private', 'shareable', 'host'] as const) {
    assert.deepEqual(parseIpcMode(kind), { kind });
  }
  assert.deepEqual(parseIpcMode(''), { kind: 'private' });
  assert.deepEqual(parseIpcMode(undefined), { kind: 'private' });
  assert.deepEqual(parseIpcMode('container:db'), { kind: 'container', reference: 'db' });
  for (const mode of ['bogus', 'container:', 'Host']) {
    assert.throws(() => parseIpcMode(mode), { kind: 'invalid', message: `invalid IPC mode: ${mode}` });
  }
});

test("parseNamespaceMode() lets only the PID namespace be another container's", () => {
  assert.deepEqual(parseNamespaceMode('PID', 'container:db'), { kind: 'container', reference: 'db' });
  assert.deepEqual(parseNamespaceMode('PID', 'host'), { kind: 'host' });
  assert.deepEqual(parseNamespaceMode('UTS', ''), { kind: 'private' });
  assert.throws(() => parseNamespaceMode('UTS', 'container:db'), {
    message: 'invalid UTS mode: container:db',
  });
  assert.throws(() => parseNamespaceMode('PID', 'container:'), { message: 'invalid PID mode: container:' });
  assert.throws(() => parseNamespaceMode('PID', 'shareable'), { message: 'invalid PID mode: shareable' });
});

test('parseNetworkMode() tells networks from modes', () => {
  assert.deepEqual(parseNetworkMode('default'), { kind: 'network', name: 'bridge' });
  assert.deepEqual(parseNetworkMode('mine'), { kind: 'network', name: 'mine' });
  assert.deepEqual(parseNetworkMode('container:db'), { kind: 'container', reference: 'db' });
  assert.throws(() => parseNetworkMode('container:'), { message: /invalid container format/ });
});
