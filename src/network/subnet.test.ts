import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { macOfAddress, parseMac } from './mac-address.ts';
import {
  DEFAULT_ADDRESS_POOLS,
  chooseSubnet,
  formatIpv4,
  offsetIn,
  overlaps,
  parseCidr,
  parseIpv4,
  sizeOf,
  subnetOf,
} from './subnet.ts';

const subnet = (text: string) => parseCidr(text).subnet;

test('parseCidr() gives the address and the network it lies in', () => {
  assert.deepEqual(parseCidr('192.168.5.1/24'), {
    address: '192.168.5.1',
    subnet: { base: '192.168.5.0', prefixLength: 24, text: '192.168.5.0/24' },
  });
  for (const wrong of ['1.2.3.4', '1.2.3.4/33', '1.2.3/8', '::1/64', '1.2.3.4/8/9', '1.2.3.4/x']) {
    assert.throws(() => parseCidr(wrong), { kind: 'invalid', message: `invalid CIDR address: ${wrong}` });
  }
});

test('formatIpv4() writes what parseIpv4() reads, and every subnet holds its address', () => {
  fc.assert(
    fc.property(fc.ipV4(), fc.integer({ min: 0, max: 32 }), (address, prefixLength) => {
      assert.equal(formatIpv4(parseIpv4(address)), address);
      const holder = subnetOf(address, prefixLength);
      const offset = offsetIn(holder, address);
      assert.ok(offset !== undefined && offset < sizeOf(holder));
      assert.ok(overlaps(holder, subnetOf(address, 32)) && overlaps(subnetOf(address, 32), holder));
    }),
  );
});

test('chooseSubnet() takes Docker’s pools in order and overlaps nothing', () => {
  assert.equal(chooseSubnet(DEFAULT_ADDRESS_POOLS, []).text, '172.17.0.0/16');
  const taken = [subnet('172.17.0.0/16'), subnet('172.18.4.0/24'), subnet('172.16.0.0/12')];
  assert.equal(chooseSubnet(DEFAULT_ADDRESS_POOLS, taken.slice(0, 2)).text, '172.19.0.0/16');
  assert.equal(chooseSubnet(DEFAULT_ADDRESS_POOLS, taken).text, '192.168.0.0/20');
  assert.equal(
    chooseSubnet([{ base: '10.10.0.0/16', size: 24 }], [subnet('10.10.0.0/24')]).text,
    '10.10.1.0/24',
  );
  assert.throws(() => chooseSubnet(DEFAULT_ADDRESS_POOLS, [subnet('128.0.0.0/1')]), /fully subnetted/);
  assert.throws(() => chooseSubnet([{ base: '10.0.0.0/16', size: 8 }], []), /size 8 does not fit/);
});

test('macOfAddress() is Docker’s, and parseMac() writes one way', () => {
  assert.equal(macOfAddress('172.17.0.2'), '02:42:ac:11:00:02');
  assert.equal(parseMac('92-D0-C6-0A-29-33'), '92:d0:c6:0a:29:33');
  assert.throws(() => parseMac('92:d0'), { kind: 'invalid', message: 'invalid MAC address: 92:d0' });
});
