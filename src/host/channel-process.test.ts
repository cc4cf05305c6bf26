import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { test } from 'node:test';

import { spawnWithChannel } from './channel-process.ts';

test('spawnWithChannel() connects descriptor 3 and leaves no zombie', async () => {
  const child = spawnWithChannel('sh', ['-c', 'read x <&3; echo "$x $(ps -o sid= $$) $$" >&3; echo $0 >&1']);
  child.channel.write('hello\n');
  const [word, session, pid] = (await text(child.channel)).trim().split(/ +/);
  assert.deepEqual([word, session, pid], ['hello', String(child.pid), String(child.pid)]);
  const exists = (): boolean => {
    try {
      return readFileSync(`/proc/${child.pid}/stat`).length > 0;
    } catch {
      return false;
    }
  };
  for (let tries = 0; exists() && tries < 200; tries++) await sleep(10);
  assert.ok(!exists());
  assert.throws(() => spawnWithChannel('/nowhere/x', []), /Cannot run "\/nowhere\/x": ENOENT/);
});
