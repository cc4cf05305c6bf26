import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { checked, errnoOf, libc, systemError } from './libc.ts';

test('checked() throws what the kernel said, in the shape of Node’s own errors', () => {
  let own: unknown;
  try {
    readFileSync('/nowhere/at/all');
  } catch (error) {
    own = error;
  }
  assert.throws(
    () => checked(libc.umount2('/nowhere/at/all', 0), 'umount2', '/nowhere/at/all'),
    (error) => {
      assert.ok(error instanceof Error);
      assert.equal(error.message, "ENOENT: no such file or directory, umount2 '/nowhere/at/all'");
      assert.equal(errnoOf(error), errnoOf(own));
      return true;
    },
  );
});

test('systemError() keeps a number that it has no name for', () => {
  const error = systemError(9999, 'fsopen', undefined, 'words of the kernel');
  assert.equal(error.code, 'E9999');
  assert.equal(error.message, 'E9999: error 9999, fsopen: words of the kernel');
});
