import assert from 'node:assert/strict';
import { test } from 'node:test';
import { humanDuration } from './human-duration.ts';

test('humanDuration() speaks as Docker’s status column does', () => {
  const hour = 3_600_000;
  for (const [milliseconds, words] of [
    [10, 'Less than a second'],
    [1000, '1 second'],
    [59_000, '59 seconds'],
    [61_000, 'About a minute'],
    [180_000, '3 minutes'],
    [hour, 'About an hour'],
    [hour * 5, '5 hours'],
    [hour * 72, '3 days'],
    [hour * 24 * 15, '2 weeks'],
    [hour * 24 * 90, '3 months'],
    [hour * 24 * 800, '2 years'],
  ] as const) {
    assert.equal(humanDuration(milliseconds), words);
  }
});
