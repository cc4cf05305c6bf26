import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';

import { CHECKOUT, type Daemon, request, startDaemon, until } from './daemons.ts';
import { busyboxImage, dockerArchive } from './test-images.ts';

/** `hull compare` on a real daemon: the shape of what it finds out, and that nothing of it stays. */
let hull: Daemon;

before(async () => {
  hull = await startDaemon('hull', { flags: ['--vm-accelerator', 'tcg'] });
  await request(hull.socket, 'POST', '/images/load?quiet=1', { body: dockerArchive([busyboxImage()]) });
});
after(() => hull[Symbol.asyncDispose]());

interface Running {
  ended: Promise<{ code: number | null; stdout: string; stderr: string }>;
  kill(signal: NodeJS.Signals): void;
}

function compare(...args: string[]): Running {
  const child = spawn(path.join(CHECKOUT, 'bin/hull'), ['-H', hull.host, 'compare', ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 300_000,
  });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  const ended = new Promise<{ code: number | null; stdout: string; stderr: string }>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, stdout, stderr }));
  });
  return { ended, kill: (signal) => void child.kill(signal) };
}

async function containers(): Promise<{ State: string }[]> {
  const { body } = await request(hull.socket, 'GET', '/containers/json?all=1');
  return JSON.parse(body.toString()) as { State: string }[];
}

test('hull compare measures every figure of busybox behind both walls, and leaves nothing', async () => {
  const picture = path.join(hull.directory, 'compare.svg');
  const { code, stdout, stderr } = await compare(
    '--runs',
    '1',
    '--format',
    'json',
    '--svg',
    picture,
    'busybox',
  ).ended;
  assert.equal(code, 0, stderr);
  const { image, host, accelerator, runs, isolation, figures } = JSON.parse(stdout) as {
    image: { name: string; bytes: number };
    host: { memoryAvailable: number; memoryTotal: number };
    accelerator: unknown;
    runs: number;
    isolation: Record<'container' | 'vm', { kernel: string; sharesKernel: boolean; surface: string }>;
    figures: Record<string, Record<'container' | 'vm', { median: number; samples: number[] }>>;
  };
  assert.equal(image.name, 'busybox');
  assert.ok(image.bytes > 1e6);
  assert.ok(host.memoryAvailable > 1e8 && host.memoryAvailable < host.memoryTotal);
  assert.deepEqual([accelerator, runs], [{ name: 'tcg' }, 1]);
  assert.deepEqual([isolation.container.sharesKernel, isolation.vm.sharesKernel], [true, false]);
  assert.notEqual(isolation.vm.kernel, isolation.container.kernel);
  assert.deepEqual(Object.keys(figures), [
    'firstOutput',
    'exec',
    'memory',
    'density',
    'writable',
    'systemCall',
    'diskWrite',
    'roundTrip',
    'download',
  ]);
  for (const [name, { container, vm }] of Object.entries(figures)) {
    for (const figure of [container, vm]) {
      assert.ok(name === 'writable' ? figure.median >= 0 : figure.median > 0, `${name}: ${stdout}`);
      assert.equal(figure.samples.length, 1);
    }
  }
  // QEMU itself takes more than a whole container does.
  assert.ok((figures['memory']?.vm.median ?? 0) > 10, stdout);
  assert.match(readFileSync(picture, 'utf8'), /microVM \(tcg\)[^]*<\/svg>\n$/);
  assert.deepEqual(await containers(), []);
});

test('hull compare removes its containers when it is interrupted', async () => {
  const running = compare('busybox');
  await until('a container of it runs', async () =>
    (await containers()).some(({ State }) => State === 'running'),
  );
  running.kill('SIGINT');
  const { code, stderr } = await running.ended;
  assert.equal(code, 130, stderr);
  assert.deepEqual(await containers(), []);
});
