import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Answer, daemon, hull, json } from '../daemon.fixture.ts';

const done: Answer = (_, response) => response.writeHead(204).end();

test('hull checkpoint makes, lists and removes checkpoints, and start takes one up again', async (t) => {
  const state = await daemon(t, {
    'POST /containers/c/checkpoints': json(201, null),
    'GET /containers/c/checkpoints': json(200, [{ Name: 'one' }, { Name: 'two' }]),
    'DELETE /containers/c/checkpoints/one': done,
    'POST /containers/c/start': done,
  });
  const lines: [string[], string][] = [
    [['checkpoint', 'create', '--leave-running', '--checkpoint-dir', '/d', 'c', 'one'], 'one\n'],
    [['checkpoint', 'ls', '--checkpoint-dir', '/d', 'c'], 'CHECKPOINT NAME\none\ntwo\n'],
    [['checkpoint', 'rm', 'c', 'one'], ''],
    [['start', '--checkpoint', 'one', '--checkpoint-dir', '/d', 'c'], ''],
  ];
  for (const [argv, stdout] of lines) {
    assert.deepEqual(await hull(state, argv), { code: 0, stdout, stderr: '' });
  }
  assert.deepEqual(state.asked, [
    'POST /containers/c/checkpoints',
    'GET /containers/c/checkpoints?dir=%2Fd',
    'DELETE /containers/c/checkpoints/one',
    'POST /containers/c/start?checkpoint=one&checkpoint-dir=%2Fd',
  ]);
  assert.deepEqual(JSON.parse(state.bodies[0] ?? ''), {
    CheckpointID: 'one',
    CheckpointDir: '/d',
    Exit: false,
  });
});
