import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseBind, parseVolumesFrom } from './bind-spec.ts';

test('parseBind() tells host directories, named and anonymous volumes apart', () => {
  assert.partialDeepStrictEqual(parseBind('/src/:/dst:ro,rslave'), {
    type: 'bind',
    source: '/src',
    destination: '/dst',
    readWrite: false,
    propagation: 'rslave',
    propagationChosen: true,
    createSource: true,
    mode: 'ro,rslave',
  });
  assert.partialDeepStrictEqual(parseBind('data:/var/lib'), {
    type: 'volume',
    name: 'data',
    mode: 'z',
    anonymous: false,
  });
  assert.partialDeepStrictEqual(parseBind('/var/lib'), {
    type: 'volume',
    anonymous: true,
    destination: '/var/lib',
  });
  assert.partialDeepStrictEqual(parseBind('data:/d:nocopy'), { noCopy: true, mode: 'nocopy' });
  assert.partialDeepStrictEqual(parseBind('data:/d', 'other'), { driver: 'other' });
  assert.partialDeepStrictEqual(parseBind('/a:/b:'), { source: '/a', destination: '/b', mode: '' });
  assert.partialDeepStrictEqual(parseBind('/a//x/../b:/c/./d/:Z,cached'), {
    source: '/a/b',
    destination: '/c/d',
  });
});

test('parseBind() refuses what is no volume specification, in Docker’s words', () => {
  for (const [bind, words] of [
    ['', "invalid volume specification: ''"],
    [':', "invalid volume specification: ':'"],
    ['a:b:c:d', "invalid volume specification: 'a:b:c:d'"],
    ['/a:', "invalid volume specification: '/a:'"],
    [':/b', "invalid volume specification: ':/b'"],
    ['/foo:rw', "invalid volume specification: '/foo:rw'"],
    [
      'a:relative',
      "invalid volume specification: 'a:relative': invalid mount config for type \"volume\": invalid mount path: 'relative' mount path must be absolute",
    ],
    [
      '/a:/',
      "invalid volume specification: '/a:/': invalid mount config for type \"bind\": invalid specification: destination can't be '/'",
    ],
    [
      '/a::ro',
      'invalid volume specification: \'/a::ro\': invalid mount config for type "bind": field Target must not be empty',
    ],
    [
      'v:/b:rshared',
      'invalid volume specification: \'v:/b:rshared\': invalid mount config for type "volume": field BindOptions must not be specified',
    ],
    [
      '/a:/b:nocopy',
      'invalid volume specification: \'/a:/b:nocopy\': invalid mount config for type "bind": field VolumeOptions must not be specified',
    ],
    ['/a:/b:what', 'invalid mode: what'],
    ['/a:/b:ro,rw', 'invalid mode: ro,rw'],
    ['/a:/b:z,Z', 'invalid mode: z,Z'],
    ['/a:/b:shared,slave', 'invalid mode: shared,slave'],
    ['v:/b:copy', 'invalid mode: copy'],
  ] as const) {
    assert.throws(() => parseBind(bind), { message: words, kind: 'internal' }, bind);
  }
});

test('parseVolumesFrom() takes access and labels, and nothing that is the other container’s to choose', () => {
  assert.deepEqual(parseVolumesFrom('c'), { reference: 'c', readOnly: false });
  assert.deepEqual(parseVolumesFrom('c:'), { reference: 'c', readOnly: false });
  assert.deepEqual(parseVolumesFrom('c:ro,z'), { reference: 'c', readOnly: true });
  for (const [from, words] of [
    ['', 'volumes-from specification cannot be an empty string'],
    ['c:nocopy', 'invalid mode: nocopy'],
    ['c:rshared', 'invalid mode: rshared'],
    ['c:ro:rw', 'invalid mode: ro:rw'],
  ] as const) {
    assert.throws(() => parseVolumesFrom(from), { message: words }, from);
  }
});
