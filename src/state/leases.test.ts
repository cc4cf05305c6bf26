import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Database } from './database.ts';
import { Leases } from './leases.ts';

test('Leases protect what they name until they are released', () => {
  using database = new Database(':memory:');
  const leases = new Leases(database);
  {
    using lease = leases.take();
    using other = leases.take();
    lease.add('layer', 'a');
    lease.add('layer', 'a');
    other.add('layer', 'b');
    other.add('blob', 'c');
    assert.deepEqual([...leases.protected('layer')].sort(), ['a', 'b']);
  }
  assert.equal(leases.protected('layer').size, 0);
  assert.equal(database.prepare('SELECT count(*) AS n FROM leased').get()?.['n'], 0);
});

test('Leases of an earlier process end, unless they are resumable and not expired', () => {
  using database = new Database(':memory:');
  const before = new Leases(database);
  before.take().add('blob', 'cut off');
  before.take({ resumable: true }).add('blob', 'resumable');
  before.take({ resumable: true, ttlMs: -1 }).add('blob', 'expired');
  assert.deepEqual([...new Leases(database).protected('blob')], ['resumable']);
});
