import assert from 'node:assert/strict';
import { test } from 'node:test';
import { daemon, hull, json } from '../daemon.fixture.ts';
import { COMMANDS } from '../command-table.ts';
import { parseFlagSpecs } from '../flags/flag-spec.ts';
import { argumentSource } from './arguments.ts';
import { completionAnswer } from './complete.ts';
import { scanWords } from './scan-words.ts';

const SPECS = parseFlagSpecs('  -i, --interactive\n  -t, --tty\n  -e, --env list\n      --name string');

test('scanWords() tells arguments, values, and a flag that waits for its value', () => {
  const scan = (line: string, interspersed = true): unknown[] => {
    const { args, pending, flagsOver, values } = scanWords(SPECS, line.split(' '), interspersed);
    return [args.join(' '), pending?.name, flagsOver, [...values].flat().join(' ')];
  };
  assert.deepEqual(scan('a --name b c'), ['a c', undefined, false, 'name b']);
  assert.deepEqual(scan('a --name=b -it'), ['a', undefined, false, 'name b']);
  assert.deepEqual(scan('a -ite'), ['a', 'env', false, '']);
  assert.deepEqual(scan('a -iteX=1'), ['a', undefined, false, 'env X=1']);
  assert.deepEqual(scan('-i image --name b', false), ['image --name b', undefined, true, '']);
  assert.deepEqual(scan('-i -- --name'), ['--name', undefined, true, '']);
  assert.deepEqual(scan('--nosuch x'), ['x', undefined, false, '']);
});

const answer = async (...words: string[]): Promise<string[]> =>
  (await completionAnswer(words, { HULL_HOST: 'unix:///nosuch' })).trimEnd().split('\n');

test('completionAnswer() says words, what they are, and whether files would do', async () => {
  assert.deepEqual(await answer('chec'), ['checkpoint\tManage checkpoints', ':4']);
  assert.deepEqual(await answer('--tlsv'), ['--tlsverify\tUse TLS and verify the remote', ':4']);
  assert.deepEqual(await answer('run', '--pull', 'm'), ['missing', ':4']);
  assert.deepEqual(await answer('run', '--pull=m'), ['--pull=missing', ':4']);
  assert.deepEqual(await answer('run', '--security-opt', 'sec'), ['seccomp=', ':6']);
  assert.deepEqual(await answer('run', '--env-file', ''), [':0']);
  assert.deepEqual(await answer('run', 'image', '--pu'), [':0']);
  assert.deepEqual(await answer('rename', 'a', 'b', ''), [':4']);
  assert.deepEqual(await answer('nosuch', ''), [':4']);
  assert.deepEqual(await answer('ps', '--nosuch', ''), [':4']);
});

test('completionAnswer() offers nothing when no daemon answers', async () => {
  assert.deepEqual(await answer('logs', ''), [':4']);
});

test('hull __complete asks the daemon that the line names, for those whom the command suits', async (t) => {
  const state = await daemon(t, {
    'GET /containers/json': json(200, [
      { Names: ['/up'], Image: 'x', State: 'running', Status: 'Up 2 hours' },
      { Names: ['/down', '/up/alias'], Image: 'x', State: 'exited', Status: 'Exited (0)' },
    ]),
  });
  const complete = async (...words: string[]): Promise<string> =>
    (await hull({ host: 'unix:///nosuch' }, ['__complete', '-H', state.host, ...words])).stdout;
  assert.equal(await complete('stop', ''), 'up\tx, Up 2 hours\n:4\n');
  assert.equal(await complete('start', ''), 'down\tx, Exited (0)\n:4\n');
  assert.equal(await complete('rm', 'down', ''), 'up\tx, Up 2 hours\n:4\n');
  assert.equal(await complete('cp', 'u'), 'up:\tx, Up 2 hours\n:2\n');
});

test('every command that takes names completes them', async () => {
  const without = [];
  for (const { path, load } of COMMANDS) {
    const { arguments: count } = await load();
    if (count.max !== 0 && argumentSource(path, 0, count.max) === undefined) without.push(path);
  }
  assert.deepEqual(without, ['image bootstrap', 'image pull', 'network create', 'volume create']);
});
