import assert from 'node:assert/strict';
import { test } from 'node:test';
import { memberPath } from './member-path.ts';

test('memberPath() drops dots, doubled slashes and the leading slash', () => {
  for (const [name, path] of [
    ['a/b', 'a b'],
    ['./a//b/', 'a b'],
    ['/etc/passwd', 'etc passwd'],
    ['a/./b/../c', 'a c'],
    ['/../../a', 'a'],
    ['.', ''],
    ['a/..', ''],
    ['/', ''],
    ['..a/...', '..a ...'],
  ] as const) {
    assert.equal(memberPath(name).join(' '), path, name);
  }
});

test('memberPath() refuses names that lead out', () => {
  for (const name of ['..', '../a', 'a/../../b', './..', 'a/b/../../../c']) {
    assert.throws(() => memberPath(name), {
      kind: 'invalid',
      message: `"${name}" is outside of the archive's root`,
    });
  }
});
