import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hardLimits, ownLimits } from './own-limits.ts';

test('hardLimits() reads the third column and leaves out what has no limit', () => {
  const text = `Limit                     Soft Limit           Hard Limit           Units
Max cpu time              unlimited            unlimited            seconds
Max open files            1024                 524288               files
`;
  assert.deepEqual(hardLimits(text), { RLIMIT_NOFILE: 524288 });
});

test('ownLimits() reads this very process', () => {
  assert.match(ownLimits().capabilityMask, /^[0-9a-f]+$/);
});
