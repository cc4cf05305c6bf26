import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { OutputWriter } from './frames.ts';

test('OutputWriter frames output with stream and length', async () => {
  const target = new PassThrough();
  const writer = new OutputWriter(target, true);
  await writer.write('stderr', Buffer.from('hi'));
  await writer.write('stdout', Buffer.alloc(0));
  assert.deepEqual(
    [...(target.read() as Buffer), ...(target.read() as Buffer)],
    [2, 0, 0, 0, 0, 0, 0, 2, 104, 105],
  );
});

test('OutputWriter waits while the client is slow, and no longer than the client is there', async () => {
  const target = new PassThrough({ highWaterMark: 4 });
  const writing = new OutputWriter(target, false).write('stdout', Buffer.from('more than four'));
  const first = await Promise.race([writing.then(() => 'written'), setImmediate('waiting')]);
  assert.equal(first, 'waiting');
  target.destroy();
  await writing;
  await new OutputWriter(target, false).write('stdout', Buffer.from('too late'));
});
