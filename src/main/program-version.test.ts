import assert from 'node:assert/strict';
import { test } from 'node:test';
import { askVersion, parseVersion } from './program-version.ts';

test('parseVersion() reads what runtimes and inits say', () => {
  const cases: [string, object | undefined][] = [
    ['runc version 1.1.5+ds1\ncommit: abc-1\nspec: 1.0.2-dev\n', { version: '1.1.5+ds1', commit: 'abc-1' }],
    ['crun version 1.8.1\ncommit: f8a0\nrundir: /run/crun\n', { version: '1.8.1', commit: 'f8a0' }],
    ['tini version 0.19.0 - git.de40ad0\n', { version: '0.19.0', commit: 'de40ad0' }],
    ['tini version 0.19.0\n', { version: '0.19.0', commit: '' }],
    ['usage: nothing of the kind', undefined],
  ];
  for (const [text, expected] of cases) assert.deepEqual(parseVersion(text), expected, text);
});

test('askVersion() has no answer for a program that is not there', async () => {
  assert.equal(await askVersion('/nonexistent/runtime'), undefined);
});
