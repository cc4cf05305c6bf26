import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { test } from 'node:test';

import { run } from './process.ts';
import { findExecutable, SealedExecutable } from './sealed-executable.ts';

test('SealedExecutable can be executed and not be changed', async () => {
  using sealed = new SealedExecutable(findExecutable('true'));
  assert.equal((await run(sealed.path, [], { timeoutMs: 10_000 })).code, 0);
  assert.throws(() => writeFileSync(sealed.path, 'x'), /EPERM|ETXTBSY/);
});

test('findExecutable() looks where execvp does', () => {
  assert.match(findExecutable('sh'), /^\/.*\/sh$/);
  assert.equal(findExecutable('/bin/sh'), '/bin/sh');
  assert.throws(() => findExecutable('nonesuch'), { kind: 'notFound' });
});
