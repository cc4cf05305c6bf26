import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { createNetns, removeNetns } from '../namespaces.ts';
import { addAddress, addAddressRequest, listAddresses, removeAddress } from './addresses.ts';
import {
  addBridge,
  addVethPair,
  findLink,
  setLinkRequest,
  listLinks,
  removeLink,
  setBridgePort,
  setLink,
} from './links.ts';
import { addRoute, addRouteRequest, listRoutes, removeRoute } from './routes.ts';
import { NetlinkSocket } from './socket.ts';

const root = mkdtempSync(path.join(tmpdir(), 'hull-netlink-'));
const [near, far] = [path.join(root, 'near'), path.join(root, 'far')];
createNetns(near);
createNetns(far);
after(() => {
  removeNetns(near);
  removeNetns(far);
  rmSync(root, { recursive: true });
});

test('links: a bridge, a veth pair into another namespace, changes, and removal', () => {
  using here = new NetlinkSocket(near);
  using there = new NetlinkSocket(far);
  addBridge(here, { name: 'br0', up: true, mtu: 1400, mac: '02:42:00:00:00:01' });
  const bridge = findLink(here, 'br0');
  assert.deepEqual(bridge, {
    index: bridge?.index,
    name: 'br0',
    up: true,
    mac: '02:42:00:00:00:01',
    mtu: 1400,
    master: 0,
    kind: 'bridge',
  });
  const pair = { name: 'eth0', netns: far, mac: '02:42:ac:11:00:02', mtu: 1400 };
  addVethPair(here, { name: 'veth0', master: bridge?.index ?? 0, up: true, mtu: 1400 }, pair);
  const inside = findLink(there, 'eth0');
  assert.equal(inside?.mac, '02:42:ac:11:00:02');
  const port = findLink(here, 'veth0');
  assert.equal(port?.master, bridge?.index);
  there.run(
    setLinkRequest(inside.index, { up: true }),
    addAddressRequest(inside.index, '172.20.0.2', 16),
    addRouteRequest({ destination: '0.0.0.0', prefixLength: 0, gateway: '172.20.0.1', link: inside.index }),
  );
  assert.deepEqual(
    listRoutes(there).filter(({ prefixLength }) => prefixLength === 0),
    [{ destination: '0.0.0.0', prefixLength: 0, gateway: '172.20.0.1', link: inside.index }],
  );
  setBridgePort(here, port?.index ?? 0, { hairpin: true });
  setBridgePort(here, port?.index ?? 0, { forwarding: false });
  setLink(here, port?.index ?? 0, { up: false, master: 0 });
  setLink(here, port?.index ?? 0, { name: 'veth1' });
  assert.equal(findLink(here, 'veth1')?.master, 0);
  removeLink(here, port?.index ?? 0);
  assert.equal(findLink(there, 'eth0'), undefined);
});

test('addresses and routes of both families come and go', () => {
  using socket = new NetlinkSocket(near);
  addBridge(socket, { name: 'br1', up: true });
  const link = findLink(socket, 'br1')?.index ?? 0;
  addAddress(socket, link, '10.9.0.1', 24);
  addAddress(socket, link, '10.9.0.1', 24);
  addAddress(socket, link, 'fd00:9::1', 64);
  const global = listAddresses(socket, link).filter(({ scope }) => scope === 'global');
  assert.deepEqual(global, [
    { link, address: '10.9.0.1', prefixLength: 24, scope: 'global' },
    { link, address: 'fd00:9::1', prefixLength: 64, scope: 'global' },
  ]);
  const route = { destination: '10.10.0.0', prefixLength: 16, gateway: '10.9.0.254', link };
  addRoute(socket, route);
  assert.ok(listRoutes(socket).some(({ destination }) => destination === '10.10.0.0'));
  removeRoute(socket, route);
  removeAddress(socket, link, 'fd00:9::1', 64);
  assert.equal(listAddresses(socket, link).filter(({ scope }) => scope === 'global').length, 1);
  assert.ok(listLinks(socket).length >= 2);
});

test('a refused request throws the kernel’s own sentence', () => {
  using socket = new NetlinkSocket(near);
  const unreachable = { destination: '10.77.0.0', prefixLength: 16, gateway: '192.0.2.77' };
  assert.throws(() => addRoute(socket, unreachable), {
    code: 'ENETUNREACH',
    message: /add route to 10\.77\.0\.0\/16: Nexthop has invalid gateway/,
  });
  assert.throws(() => addBridge(socket, { name: 'a-name-that-is-too-long' }), { code: /ERANGE|EINVAL/ });
});
