import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { Logger } from '#/base/log.ts';
import type { Runtime } from '../runtime.ts';
import { Templates } from './templates.ts';

test('Templates: a guest that cannot be booted is asked for once by all who want it, and leaves nothing', async () => {
  const root = mkdtempSync(path.join(tmpdir(), 'hull-templates-'));
  const [installed, running] = [path.join(root, 'installed'), path.join(root, 'run')];
  mkdirSync(installed);
  mkdirSync(running);
  let boots = 0;
  const runtime: Runtime = {
    name: 'none',
    program: 'none',
    create: () => {
      boots++;
      return Promise.reject(new Error('there is no room'));
    },
    load: () => Promise.resolve(undefined),
  };
  const templates = new Templates({
    installation: { directory: installed, root: path.join(installed, 'root'), kernelRelease: '' },
    runtime,
    directory: running,
    cgroupsPath: (id) => id,
    tscKhz: 0,
    architecture: process.arch,
    kernel: '6.1.0',
    logger: new Logger('error', () => {}),
  });
  const machine = { accelerator: 'tcg', cpus: 1, memory: 2 ** 20 } as const;
  try {
    const outcomes = await Promise.allSettled([templates.get(machine), templates.get(machine)]);
    for (const outcome of outcomes) assert.equal(outcome.status, 'rejected');
    assert.equal(boots, 1);
    assert.deepEqual([readdirSync(installed), readdirSync(running)], [[], []]);
    await assert.rejects(templates.get(machine), /no room/);
    assert.equal(boots, 2);
  } finally {
    rmSync(root, { recursive: true });
  }
});
