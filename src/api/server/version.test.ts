import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ApiVersion, checkVersion, compareVersions, splitVersion } from './version.ts';

test('splitVersion() takes the prefix off', () => {
  assert.deepEqual(splitVersion('/v1.44/info'), { version: '1.44', path: '/info' });
  assert.deepEqual(splitVersion('/info'), { path: '/info' });
  assert.deepEqual(splitVersion('/volumes/v1'), { path: '/volumes/v1' });
});

test('checkVersion() refuses in the words of Docker', () => {
  assert.equal(checkVersion('1.24').text, '1.24');
  assert.throws(() => checkVersion('1.10'), {
    kind: 'invalid',
    message:
      'client version 1.10 is too old. Minimum supported API version is 1.24, please upgrade your client to a newer version',
  });
  assert.throws(() => checkVersion('9.99'), {
    message: 'client version 9.99 is too new. Maximum supported API version is 1.56',
  });
});

test('compareVersions() compares numbers, not text', () => {
  assert.equal(compareVersions('1.9', '1.10'), -1);
  assert.equal(compareVersions('1', '1.0'), 0);
  assert.ok(new ApiVersion('1.41').below('1.42'));
  assert.ok(!new ApiVersion().below('1.56'));
});
