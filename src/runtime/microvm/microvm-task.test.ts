import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inShort } from './microvm-task.ts';

test('inShort() names the panic that made QEMU end, else what hull-vm says first', () => {
  const console =
    '[ 1.0] sysrq: Trigger a crash\n[ 1.1] Kernel panic - not syncing: sysrq triggered crash\n[ 1.2] CPU: 1';
  assert.equal(
    inShort(`QEMU ended with code 0; the last words of its console: ${console}`),
    "the guest's kernel panicked: sysrq triggered crash",
  );
  assert.equal(inShort('QEMU was killed by signal 9\nand more'), 'QEMU was killed by signal 9');
  assert.equal(inShort('x'.repeat(10_000)).length, 500);
});
