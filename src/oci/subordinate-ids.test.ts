import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nextStart, rangesOf } from './subordinate-ids.ts';

const TEXT =
  '# a comment\nalice:100000:65536\n1000:300000:1000\nalice:500000:10\nbad:x:1\nshort:5\nnone:7:0\n';

test('rangesOf() finds a user by name and by number', () => {
  assert.deepEqual(rangesOf(TEXT, { name: 'alice', uid: 1000 }), [
    { start: 100_000, length: 65_536 },
    { start: 300_000, length: 1000 },
    { start: 500_000, length: 10 },
  ]);
  for (const name of ['bob', 'bad', 'short', 'none', '# a comment']) {
    assert.deepEqual(rangesOf(TEXT, { name, uid: 1 }), [], name);
  }
});

test('nextStart() overlaps nobody', () => {
  assert.equal(nextStart(''), 100_000);
  assert.equal(nextStart('a:100000:65536\n'), 165_536);
  assert.equal(nextStart('b:165536:65536\na:100000:65536\n'), 231_072);
  assert.equal(nextStart('a:1:5\nb:400000:65536\n'), 100_000);
  assert.equal(nextStart('a:150000:10\n'), 150_010);
  assert.equal(nextStart('a:10:1000000\n'), 1_000_010);
});
