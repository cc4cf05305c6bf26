import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { diskUsage } from './disk-usage.ts';
import { MeasuredSizes } from './measured-sizes.ts';

const directory = mkdtempSync(path.join(os.tmpdir(), 'hull-sizes-'));
mkdirSync(path.join(directory, 'below'));
writeFileSync(path.join(directory, 'a'), Buffer.alloc(1000));
writeFileSync(path.join(directory, 'below', 'b'), Buffer.alloc(500));
after(() => rmSync(directory, { recursive: true }));

test('MeasuredSizes.of() is what the files hold, and follows what is written', async () => {
  const sizes = new MeasuredSizes();
  assert.equal(await sizes.of(directory), 1500);
  writeFileSync(path.join(directory, 'below', 'c'), Buffer.alloc(50));
  let size = 0;
  for (let tries = 0; tries < 500 && size !== 1550; tries++) {
    size = await sizes.of(directory);
    await delay(20);
  }
  assert.equal(size, 1550);
  assert.equal(await sizes.of(path.join(directory, 'not there')), 0);
});

test('MeasuredSizes.of() walks once for all who ask at the same time', async () => {
  const sizes = new MeasuredSizes();
  const found = await Promise.all([sizes.of(directory), sizes.of(directory), sizes.of(directory)]);
  assert.equal(new Set(found).size, 1);
});

test('diskUsage() tells what it has counted while it counts', async () => {
  const counted: number[] = [];
  const total = await diskUsage(directory, (bytes) => counted.push(bytes));
  assert.equal(counted.at(-1), total);
  assert.deepEqual(
    counted,
    counted.toSorted((a, b) => a - b),
  );
});
