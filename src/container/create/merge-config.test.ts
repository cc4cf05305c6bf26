import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DEFAULT_PATH, mergeImageConfig, processEnv } from './merge-config.ts';

test('mergeImageConfig() keeps the image’s entrypoint and command unless the request has its own', () => {
  const image = { Entrypoint: ['/entry'], Cmd: ['serve'] };
  const merged = (config: object): unknown[] => {
    const { Entrypoint, Cmd } = mergeImageConfig(config, image);
    return [Entrypoint, Cmd];
  };
  assert.deepEqual(merged({}), [['/entry'], ['serve']]);
  assert.deepEqual(merged({ Cmd: ['x'] }), [['/entry'], ['x']]);
  assert.deepEqual(merged({ Entrypoint: ['/mine'] }), [['/mine'], undefined]);
  assert.deepEqual(merged({ Entrypoint: ['/mine'], Cmd: ['x'] }), [['/mine'], ['x']]);
  assert.deepEqual(merged({ Entrypoint: [''], Cmd: ['x'] }), [[], ['x']]);
});

test('mergeImageConfig() refuses a container without a command', () => {
  assert.throws(() => mergeImageConfig({}, {}), { kind: 'invalid', message: 'no command specified' });
});

test('mergeImageConfig() adds labels, ports, volumes and variables of the image under the request’s', () => {
  const merged = mergeImageConfig(
    { Cmd: ['x'], Env: ['A=mine', 'B'], Labels: { a: '1' }, ExposedPorts: { '80/tcp': {} } },
    {
      Env: ['A=image', 'C=image'],
      Labels: { a: '0', b: '0' },
      ExposedPorts: { '81/tcp': {} },
      WorkingDir: '/w',
      User: 'u',
    },
  );
  assert.deepEqual(merged.Env, ['A=mine', 'B', 'C=image']);
  assert.deepEqual(merged.Labels, { a: '1', b: '0' });
  assert.deepEqual(Object.keys(merged.ExposedPorts ?? {}).toSorted(), ['80/tcp', '81/tcp']);
  assert.equal(merged.WorkingDir, '/w');
  assert.equal(merged.User, 'u');
});

test('processEnv() puts Docker’s variables first, lets the configured ones win and drops the unset', () => {
  assert.deepEqual(processEnv({ Tty: true, Env: ['PATH=/p', 'X=1', 'TERM'] }, 'box', '/root'), [
    'PATH=/p',
    'HOSTNAME=box',
    'X=1',
    'HOME=/root',
  ]);
  assert.equal(processEnv({}, 'box', '/')[0], DEFAULT_PATH);
});
