import assert from 'node:assert/strict';
import { test } from 'node:test';
import { untilFilter } from './until-filter.ts';

test('untilFilter() is one moment or none', () => {
  assert.equal(untilFilter({}), undefined);
  assert.equal(untilFilter({ until: ['1700000000.5'] }), 1_700_000_000_500_000_000n);
  assert.throws(() => untilFilter({ until: ['1h', '2h'] }), {
    message: 'more than one until filter specified',
  });
  assert.throws(() => untilFilter({ until: ['x'] }), { kind: 'invalid' });
});
