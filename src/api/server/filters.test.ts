import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeFilters, filterFlag } from './filters.ts';

test('decodeFilters() reads the list form and the map form', () => {
  assert.deepEqual(decodeFilters('{"label":["a=b","c"]}'), { label: ['a=b', 'c'] });
  assert.deepEqual(decodeFilters('{"label":{"a=b":true,"c":false}}'), { label: ['a=b'] });
  assert.deepEqual(decodeFilters(''), {});
});

test('decodeFilters() refuses unknown keys and wrong shapes in the words of Docker', () => {
  assert.throws(() => decodeFilters('{"x":["1"]}', ['label']), {
    kind: 'invalid',
    message: "invalid filter 'x'",
  });
  for (const text of ['[]', '"a"', '{', '{"label":"a"}', '{"label":[1]}', '{"label":{"a":1}}']) {
    assert.throws(() => decodeFilters(text), { kind: 'invalid', message: 'invalid filter' });
  }
});

test('filterFlag() takes 1, true, 0 and false', () => {
  assert.equal(filterFlag({ dangling: ['1'] }, 'dangling'), true);
  assert.equal(filterFlag({ dangling: ['false'] }, 'dangling'), false);
  assert.equal(filterFlag({}, 'dangling'), undefined);
  assert.throws(() => filterFlag({ dangling: ['maybe'] }, 'dangling'), /invalid filter 'dangling=\[maybe\]'/);
});
