import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { test } from 'node:test';
import { buffer, text } from 'node:stream/consumers';

import { killProcess, identify, isRunning } from './process-identity.ts';
import { run, spawnDetached, spawnStreaming } from './process.ts';

const limit = { timeoutMs: 10_000 };

test('run() returns output, code and input', async () => {
  const done = await run('sh', ['-c', 'cat; echo oops >&2; exit 7'], { ...limit, input: 'hello' });
  assert.deepEqual([done.code, String(done.stdout), String(done.stderr)], [7, 'hello', 'oops\n']);
});

test('run() turns a signal into 128 + n', async () => {
  assert.equal((await run('sh', ['-c', 'kill -TERM $$'], limit)).code, 143);
});

test('run() rejects when the program is missing, late, aborted or too loud', async () => {
  await assert.rejects(run('/nowhere/x', [], limit), /Cannot run "\/nowhere\/x"/);
  await assert.rejects(run('sleep', ['60'], { timeoutMs: 50 }), /did not end within 50 ms/);
  // The grandchild holds the pipes: the deadline holds all the same.
  await assert.rejects(run('sh', ['-c', 'sleep 5 & wait'], { timeoutMs: 50 }), /did not end within/);
  const signal = AbortSignal.timeout(50);
  await assert.rejects(run('sleep', ['60'], { ...limit, signal }), { name: 'TimeoutError' });
  await assert.rejects(run('yes', [], { ...limit, maxOutput: 1000 }), /more than 1000 bytes/);
});

test('spawnStreaming() ends its stream after code 0 only', async () => {
  const good = await spawnStreaming('sh', ['-c', 'cat'], { stdin: true });
  good.stdin?.end('abc');
  assert.equal(await text(good.stdout), 'abc');
  const bad = await spawnStreaming('sh', ['-c', 'echo out; echo why >&2; exit 3']);
  await assert.rejects(text(bad.stdout), /ended with code 3: why/);
  await assert.rejects(spawnStreaming('/nowhere/x', []), /Cannot run/);
});

test('spawnStreaming() holds back a fast program and kills it when the stream is destroyed', async () => {
  const yes = await spawnStreaming('yes', []);
  const identity = identify(yes.pid);
  assert.ok(identity);
  for await (const chunk of yes.stdout) {
    assert.ok((chunk as Buffer).length > 0);
    break;
  }
  for (let tries = 0; isRunning(identity) && tries < 200; tries++) await sleep(10);
  assert.ok(!isRunning(identity));
  const unread = await spawnStreaming('yes', []);
  unread.stdout.destroy();
  const late = await spawnStreaming('sleep', ['60'], { timeoutMs: 50 });
  await assert.rejects(buffer(late.stdout), /did not end within/);
});

test('identify() tells one process from the next with its pid', async () => {
  const own = identify(process.pid);
  assert.ok(own && isRunning(own));
  assert.ok(!isRunning({ ...own, startTime: own.startTime + 1 }));
  assert.equal(identify(0), undefined);
  const child = await spawnDetached('sleep', ['60']);
  const identity = identify(child.pid);
  assert.ok(identity && killProcess(identity, 15));
  assert.equal(await child.exited, 143);
  assert.ok(!killProcess(identity, 15));
});
