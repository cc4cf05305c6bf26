import assert from 'node:assert/strict';
import { test } from 'node:test';
import { logAttributes } from './log-attributes.ts';

const CONTAINER = {
  labels: { tier: 'front', 'com.example.owner': 'me', other: 'x' },
  environment: ['MODE=a=b', 'EMPTY=', 'NAMELESS', 'SECRET=no'],
};

test('logAttributes() chooses labels and variables by name and by expression', () => {
  const cases: [Record<string, string>, Record<string, string>][] = [
    [{}, {}],
    [{ labels: 'tier,nosuch' }, { tier: 'front' }],
    [{ labels: '', 'labels-regex': '^com\\.' }, { 'com.example.owner': 'me' }],
    [{ 'labels-regex': '(?i)^TIER$' }, { tier: 'front' }],
    [{ env: 'MODE,EMPTY,NAMELESS' }, { MODE: 'a=b', EMPTY: '' }],
    [
      { 'env-regex': '^(?P<first>MO)', labels: 'other' },
      { MODE: 'a=b', other: 'x' },
    ],
  ];
  for (const [options, chosen] of cases) assert.deepEqual(logAttributes({ options, ...CONTAINER }), chosen);
});

test('logAttributes() renames what it chose, and refuses an expression in the words of Go', () => {
  const options = { labels: 'tier' };
  assert.deepEqual(
    logAttributes({ options, ...CONTAINER }, (name) => name.toUpperCase()),
    { TIER: 'front' },
  );
  assert.throws(() => logAttributes({ options: { 'env-regex': '[a' }, ...CONTAINER }), {
    message: 'error parsing regexp: missing closing ]: `[a`',
  });
});
