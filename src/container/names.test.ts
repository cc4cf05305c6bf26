import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inventName, parseContainerName } from './names.ts';

test('parseContainerName() drops the slash and refuses what Docker refuses', () => {
  assert.equal(parseContainerName('/web'), 'web');
  assert.equal(parseContainerName('a.b-c_d'), 'a.b-c_d');
  for (const bad of ['a', '-a', 'a b', '', 'a/b', 'ü1']) {
    assert.throws(() => parseContainerName(bad), {
      kind: 'invalid',
      message: `Invalid container name (${bad}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed`,
    });
  }
});

test('inventName() finds a free name though nearly all are taken', () => {
  const taken = new Set<string>();
  for (let i = 0; i < 2000; i++) {
    const name = inventName((candidate) => taken.has(candidate));
    assert.ok(!taken.has(name));
    assert.equal(parseContainerName(name), name);
    taken.add(name);
  }
});
