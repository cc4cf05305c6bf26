import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Query } from '../query.ts';
import { ApiVersion } from '../version.ts';
import { diskUsageOptions } from './disk-usage.ts';

test('diskUsageOptions() gives each version its form', () => {
  const cases: [string, string, object][] = [
    ['1.41', 'type=image', { types: [], sums: false, lists: true, items: false }],
    ['1.51', 'type=image&verbose=1', { types: ['image'], sums: false, lists: true, items: false }],
    ['1.52', '', { types: [], sums: true, lists: true, items: false }],
    ['1.52', 'verbose=false', { types: [], sums: true, lists: false, items: false }],
    ['1.56', 'verbose=1&type=a&type=b', { types: ['a', 'b'], sums: true, lists: false, items: true }],
  ];
  for (const [version, query, expected] of cases) {
    assert.deepEqual(
      diskUsageOptions(new Query(query), new ApiVersion(version)),
      expected,
      `${version} ${query}`,
    );
  }
  assert.throws(() => diskUsageOptions(new Query('verbose=maybe'), new ApiVersion()), {
    kind: 'invalid',
    message: 'invalid value for verbose: maybe',
  });
});
