import assert from 'node:assert/strict';
import { test } from 'node:test';
import { resolveUser } from './user.ts';

const PASSWD = 'root:x:0:0:root:/root:/bin/sh\n# comment\nweb:x:33:44:Web:/var/www:/bin/false\nbad:x:y:z::\n';
const GROUP = 'root:x:0:\nwww:x:44:\nssl:x:7:web,other\nadm:x:4:root\n';

const look = (spec: string, groups: string[] = []): ReturnType<typeof resolveUser> =>
  resolveUser(spec, groups, PASSWD, GROUP);

test('resolveUser() looks names and numbers up and finds the home and the further groups', () => {
  assert.deepEqual(look(''), { uid: 0, gid: 0, additionalGids: [4], home: '/root' });
  assert.deepEqual(look('web'), { uid: 33, gid: 44, additionalGids: [7], home: '/var/www' });
  assert.deepEqual(look('33'), look('web'));
  assert.deepEqual(look('web:www'), { uid: 33, gid: 44, additionalGids: [], home: '/var/www' });
  assert.deepEqual(look('1234:5678'), { uid: 1234, gid: 5678, additionalGids: [], home: '/' });
  assert.deepEqual(look('1234'), { uid: 1234, gid: 0, additionalGids: [], home: '/' });
  assert.deepEqual(look('web', ['adm', '99']).additionalGids, [7, 4, 99]);
});

test("resolveUser() fails in Docker's words", () => {
  assert.throws(() => look('nobody'), {
    message: 'unable to find user nobody: no matching entries in passwd file',
  });
  assert.throws(() => look('0:nogroup'), {
    message: 'unable to find group nogroup: no matching entries in group file',
  });
  assert.throws(() => look('4294967296'), { message: 'uids and gids must be in range 0-2147483647' });
});
