import assert from 'node:assert/strict';
import { test } from 'node:test';
import { daemon, hull, json } from '../daemon.fixture.ts';

test('hull update sends only what is to change, and tells warnings after the names', async (t) => {
  const state = await daemon(t, {
    'POST /containers/a/update': json(200, { Warnings: [] }),
    'POST /containers/b/update': json(200, { Warnings: ['limited'] }),
  });
  const argv = [
    'update',
    '--cpus',
    '1.5',
    '-m',
    '1g',
    '--pids-limit=-1',
    '--restart',
    'on-failure:3',
    'a',
    'b',
  ];
  assert.deepEqual(await hull(state, argv), { code: 0, stdout: 'a\nb\nlimited\n', stderr: '' });
  const { NanoCpus, Memory, MemorySwap, PidsLimit, RestartPolicy, CpusetCpus } = JSON.parse(
    state.bodies[0] ?? '',
  ) as Record<string, unknown>;
  assert.deepEqual(
    { NanoCpus, Memory, MemorySwap, PidsLimit, RestartPolicy, CpusetCpus },
    {
      NanoCpus: 1_500_000_000,
      Memory: 1 << 30,
      MemorySwap: 0,
      PidsLimit: -1,
      RestartPolicy: { Name: 'on-failure', MaximumRetryCount: 3 },
      CpusetCpus: '',
    },
  );
});

test('hull update wants something to change', async () => {
  const result = await hull({ host: 'unix:///nosuch' }, ['update', 'a']);
  assert.deepEqual(result, {
    code: 1,
    stdout: '',
    stderr: 'you must provide one or more flags when using this command\n',
  });
});
