import assert from 'node:assert/strict';
import { test } from 'node:test';

import {
  blockOf,
  type GuestLink,
  insideStandIns,
  linkAddresses,
  linkName,
  outsideStandIns,
  sharedListeners,
  sharedTable,
  targetOf,
} from './guest-link.ts';

const id = '0123456789ab'.padEnd(64, '0');
const link: GuestLink = { containerId: id, block: '241.8.9.0', addresses: ['192.168.1.5', '10.0.0.1'] };

test('blockOf() stays among the addresses that nobody uses, and differs with each attempt', () => {
  for (const digits of ['00000000', 'ffffffff', '0123abcd']) {
    const [first, second] = [0, 1].map((attempt) => blockOf(digits.padEnd(64, '0'), attempt));
    assert.match(first ?? '', /^2(4[1-9]|5[0-4])\.\d+\.\d+\.0$/);
    assert.notEqual(first, second);
  }
});

test('a link’s name and addresses are found from its record', () => {
  assert.equal(linkName(link), 'hvm0123456789ab');
  assert.deepEqual(linkAddresses(link), {
    gateway: '241.8.9.250',
    shared: '241.8.9.253',
    between: '241.8.9.254',
  });
  assert.deepEqual(insideStandIns(link), [
    ['127.0.0.1', '241.8.9.1'],
    ['192.168.1.5', '241.8.9.2'],
    ['10.0.0.1', '241.8.9.3'],
  ]);
  assert.deepEqual(outsideStandIns(link), [
    ['127.0.0.0/16', '240.0.0.0/16'],
    ['192.168.1.5', '240.1.0.1'],
    ['10.0.0.1', '240.1.0.2'],
  ]);
});

test('sharedListeners() keeps what the shared namespace can have, each once', () => {
  const kept = sharedListeners(link, [
    { protocol: 'tcp', address: '0.0.0.0', port: 80 },
    { protocol: 'tcp', address: '::', port: 80 },
    { protocol: 'tcp', address: '::ffff:10.0.0.1', port: 81 },
    { protocol: 'tcp', address: '::1', port: 82 },
    { protocol: 'tcp', address: '172.30.0.1', port: 83 },
    { protocol: 'tcp', address: '127.0.0.1', port: 40_000 },
    { protocol: 'udp', address: '0.0.0.0', port: 53 },
    // A client's.
    { protocol: 'udp', address: '0.0.0.0', port: 40_000 },
  ]);
  assert.deepEqual(
    [...kept.keys()],
    ['tcp 0.0.0.0 80', 'tcp 10.0.0.1 81', 'tcp 127.0.0.1 40000', 'udp 0.0.0.0 53'],
  );
});

test('sharedListeners() gives no guest more than its share of ports', () => {
  const every = Array.from(
    { length: 2000 },
    (_, port) => ({ protocol: 'tcp', address: '::', port }) as const,
  );
  assert.equal(sharedListeners(link, every).size, 512);
});

test('targetOf() leads to the address at which the guest listens', () => {
  const at = (address: string): string => targetOf(link, { protocol: 'tcp', address, port: 80 }).address;
  assert.deepEqual(['0.0.0.0', '10.0.0.1', '127.0.0.1'].map(at), ['241.8.9.2', '241.8.9.3', '241.8.9.1']);
});

test('sharedTable() lets nothing in by the link but what is of it, and opens ports for other guests, too', () => {
  const text = sharedTable('hull_vm_x', link, [
    { protocol: 'tcp', address: '0.0.0.0', port: 80 },
    { protocol: 'udp', address: '127.0.0.1', port: 53 },
  ]);
  assert.match(text, /iifname "hvm0123456789ab" ip saddr != 241\.8\.9\.0\/24 drop/);
  assert.match(text, /add element ip hull_vm_x ports \{ tcp \. 80 : 241\.8\.9\.2 \. 80 \}/);
  assert.match(
    text,
    /ports_at \{ 127\.0\.0\.1 \. udp \. 53 : 241\.8\.9\.1 \. 53, 240\.0\.0\.1 \. udp \. 53 : 241\.8\.9\.1 \. 53 \}/,
  );
});
