import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { AddressPool } from './address-pool.ts';
import { offsetIn, parseCidr } from './subnet.ts';

const pool = (subnet: string, range?: string): AddressPool =>
  new AddressPool(parseCidr(subnet).subnet, range === undefined ? undefined : parseCidr(range).subnet);

test('AddressPool gives out the lowest free address, never the network’s own or its broadcast', () => {
  const four = pool('10.0.0.0/29');
  four.take('10.0.0.1');
  const given = Array.from({ length: 5 }, () => four.allocate());
  assert.deepEqual(given, ['10.0.0.2', '10.0.0.3', '10.0.0.4', '10.0.0.5', '10.0.0.6']);
  assert.throws(() => four.allocate(), /no available IPv4 addresses on this network's address pools/);
  four.release('10.0.0.4');
  assert.equal(four.allocate(), '10.0.0.4');
});

test('AddressPool.take() refuses what is taken or outside', () => {
  const some = pool('192.168.0.0/16');
  assert.equal(some.take('192.168.255.1'), '192.168.255.1');
  assert.throws(() => some.take('192.168.255.1'), { kind: 'conflict', message: 'Address already in use' });
  assert.throws(() => some.take('192.169.0.1'), /invalid address 192\.169\.0\.1/);
  some.release('10.0.0.1');
});

test('AddressPool picks from a range, and the subnet may be asked for by name', () => {
  const ranged = pool('10.1.0.0/16', '10.1.5.0/30');
  assert.deepEqual(
    Array.from({ length: 4 }, () => ranged.allocate()),
    ['10.1.5.0', '10.1.5.1', '10.1.5.2', '10.1.5.3'],
  );
  assert.throws(() => ranged.allocate());
  assert.equal(ranged.take('10.1.9.9'), '10.1.9.9');
  assert.throws(() => pool('10.1.0.0/16', '10.2.0.0/24'), /it is not part of/);
});

test('AddressPool agrees with a plain set, whatever is allocated, taken and released', () => {
  const subnet = parseCidr('10.7.3.0/26').subnet;
  const step = fc.record({ kind: fc.constantFrom('allocate', 'release', 'take'), host: fc.nat(70) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
      const subject = new AddressPool(subnet);
      const taken = new Set<string>();
      for (const { kind, host } of steps) {
        const address = `10.7.3.${host}`;
        const usable = host > 0 && host < 63;
        if (kind === 'release' && usable) {
          subject.release(address);
          taken.delete(address);
        } else if (kind === 'take') {
          if (usable && !taken.has(address)) taken.add(subject.take(address));
          else assert.throws(() => subject.take(address));
        } else if (kind === 'allocate') {
          if (taken.size === 62) {
            assert.throws(() => subject.allocate());
            continue;
          }
          const given = subject.allocate();
          assert.ok(!taken.has(given) && offsetIn(subnet, given) !== undefined);
          taken.add(given);
        }
      }
      for (let host = 1; host < 63; host++) {
        assert.equal(subject.isTaken(`10.7.3.${host}`), taken.has(`10.7.3.${host}`));
      }
    }),
  );
});

test('AddressPool.allocate() passes over 65,000 taken addresses quickly', () => {
  const wide = pool('172.17.0.0/16');
  for (let count = 0; count < 65_533; count++) wide.allocate();
  assert.equal(wide.allocate(), '172.17.255.254');
});
