import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { matchesExactly, matchesLabels, matchesPattern, matchesPrefix } from './filters.ts';

test('filters accept everything where a key is not filtered by', () => {
  fc.assert(
    fc.property(fc.string(), fc.string(), (key, source) => {
      assert.ok(matchesExactly({ [`${key}x`]: ['y'] }, key, source));
      assert.ok(matchesPrefix({}, key, source));
      assert.ok(matchesPattern({}, key, source));
      assert.ok(matchesLabels({}, key, {}));
    }),
  );
});

test('filters accept a source equal to one of several values', () => {
  fc.assert(
    fc.property(fc.array(fc.string(), { minLength: 1 }), (wanted) => {
      const source = wanted.at(-1) ?? '';
      for (const matches of [matchesExactly, matchesPrefix, matchesPattern]) {
        assert.ok(matches({ name: wanted }, 'name', source));
      }
    }),
  );
});

test('matchesPattern() takes what is no regular expression for a name', () => {
  assert.equal(matchesPattern({ name: ['('] }, 'name', 'a'), false);
  assert.equal(matchesPattern({ name: ['^we.$'] }, 'name', 'web'), true);
});

test('matchesLabels() wants every label', () => {
  const labels = { a: '1', b: '' };
  assert.ok(matchesLabels({ label: ['a=1', 'b'] }, 'label', labels));
  assert.ok(matchesLabels({ label: ['b='] }, 'label', labels));
  assert.ok(!matchesLabels({ label: ['a=1', 'c'] }, 'label', labels));
  assert.ok(!matchesLabels({ label: ['toString'] }, 'label', labels));
});
