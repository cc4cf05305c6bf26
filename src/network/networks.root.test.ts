import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { type Server, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, afterEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { Logger } from '#/base/log.ts';
import { checked, libc } from '#/host/libc.ts';
import { createNetns, removeNetns, withNetns } from '#/host/namespaces.ts';
import { addAddress } from '#/host/netlink/addresses.ts';
import {
  addVethPair,
  findLink,
  listLinks,
  removeLink,
  setLink,
  setLinkRequest,
} from '#/host/netlink/links.ts';
import { addRoute } from '#/host/netlink/routes.ts';
import { NetlinkSocket } from '#/host/netlink/socket.ts';
import { NftablesContext } from '#/host/nftables.ts';
import { Database } from '#/state/database.ts';
import { EventLog } from '#/state/events.ts';
import type { Endpoint, PortRequest } from './driver.ts';
import type { NetworkOptions } from './network-options.ts';
import { Networks, type WantedNetworks } from './networks.ts';

/*
 * The whole test runs in a network namespace of its own, which plays the host: no rule, link or port of the real one is
 * touched, and other engines' rules on it do not matter. A second namespace plays a machine outside.
 */
const CLONE_NEWNET = 0x40000000;
const root = mkdtempSync(path.join(tmpdir(), 'hull-network-'));
const namespaces: string[] = [];

function namespace(name: string): string {
  const file = path.join(root, name);
  createNetns(file);
  namespaces.push(file);
  return file;
}

const home = openSync('/proc/thread-self/ns/net', 'r');
const host = namespace('host');
const outside = namespace('outside');
const fd = openSync(host, 'r');
checked(libc.setns(fd, CLONE_NEWNET), 'setns');
closeSync(fd);

const HOST = '198.51.100.1';
const OUTSIDE = '198.51.100.2';
{
  using here = new NetlinkSocket();
  using there = new NetlinkSocket(outside);
  addVethPair(here, { name: 'up0', up: true }, { name: 'eth0', netns: outside });
  addAddress(here, findLink(here, 'up0')?.index ?? 0, HOST, 24);
  const link = findLink(there, 'eth0')?.index ?? 0;
  there.run(setLinkRequest(link, { up: true }));
  addAddress(there, link, OUTSIDE, 24);
  // So that a packet to a container's own address is refused by rules, and not for want of a route.
  addRoute(there, { destination: '172.17.0.0', prefixLength: 16, gateway: HOST, link });
}

const cleanups: (() => void)[] = [];
after(() => {
  checked(libc.setns(home, CLONE_NEWNET), 'setns');
  for (const file of namespaces) removeNetns(file);
  rmSync(root, { recursive: true });
});

/** How many namespaces stay for all tests. */
const FIXED = namespaces.length;
const engines: Networks[] = [];
afterEach(async () => {
  for (const networks of engines.splice(0)) {
    for (const { EndpointID } of Object.values(networks.inspect('bridge').Containers ?? {})) {
      const endpoint = attached.get(EndpointID ?? '');
      if (endpoint !== undefined) await networks.disconnect(endpoint);
    }
    await networks.cleanup();
    networks.close();
  }
  // A namespace lives on while a socket of it is open.
  for (const cleanup of cleanups.splice(0)) cleanup();
  for (const file of namespaces.splice(FIXED)) removeNetns(file);
});

const attached = new Map<string, Endpoint>();
const lines: string[] = [];
function engine(options: Partial<NetworkOptions> = {}, database = new Database(':memory:')): Networks {
  const networks = new Networks({
    database,
    events: new EventLog(),
    logger: new Logger('info', (line) => lines.push(line)),
    options,
  });
  engines.push(networks);
  return networks;
}

let containers = 0;
async function container(networks: Networks, ports: PortRequest[] = [], name = `c${++containers}`) {
  const netns = namespace(`${name}-${namespaces.length}`);
  const { endpoint, settings } = await networks.connect({
    containerId: name.padEnd(64, '0'),
    name,
    networkName: 'bridge',
    netns,
    ports,
  });
  attached.set(endpoint.endpointId, endpoint);
  return { netns, endpoint, settings, address: settings.IPAddress ?? '' };
}

/** A server inside a namespace that answers with the address it sees, then whatever the client sends. */
function serve(netns: string | undefined, port: number): Server {
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.write(`${socket.remoteAddress?.replace('::ffff:', '')}\n`);
    socket.pipe(socket);
  });
  // Without an address listen() binds at once, within the namespace.
  if (netns === undefined) server.listen(port);
  else withNetns(netns, () => server.listen(port));
  server.unref();
  cleanups.push(() => server.close());
  return server;
}

/** The kernel removes namespaces, and the pairs with them, when it finds the time. */
async function noPairLeft(): Promise<void> {
  using socket = new NetlinkSocket();
  const left = (): string[] =>
    listLinks(socket).flatMap(({ name }) => (name.startsWith('veth') ? [name] : []));
  for (let tries = 0; left().length > 0 && tries < 1000; tries++) await sleep(10);
  assert.deepEqual(left(), []);
}

const run = promisify(execFile);

/** One line from a server, asked from within a namespace; rejects when there is no connection. */
async function ask(netns: string, address: string, port: number, o: { udp?: boolean } = {}): Promise<string> {
  const kind = o.udp === true ? 'UDP4' : address.includes(':') ? 'TCP6' : 'TCP4';
  const target = address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
  const connect = o.udp === true ? `${kind}:${target}` : `${kind}:${target},connect-timeout=1`;
  const child = run('nsenter', [`--net=${netns}`, 'socat', '-t1', '-T1', '-', connect], { timeout: 5000 });
  child.child.stdin?.end('hello\n');
  const { stdout } = await child;
  return stdout.split('\n')[0] ?? '';
}

function udpEcho(netns: string, port: number): void {
  const arguments_ = [`--net=${netns}`, 'socat', `UDP4-LISTEN:${port},fork,reuseaddr`, 'SYSTEM:head -n1'];
  const child = spawn('nsenter', arguments_, { stdio: 'ignore', detached: true });
  cleanups.push(() => {
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
  });
}

test('containers get addresses, reach each other, and go out with the host’s address', async () => {
  const networks = engine();
  await networks.restore();
  const [a, b] = [await container(networks), await container(networks)];
  assert.deepEqual([a.address, b.address], ['172.17.0.2', '172.17.0.3']);
  assert.deepEqual(a.settings, {
    MacAddress: '02:42:ac:11:00:02',
    NetworkID: networks.find('bridge').id,
    EndpointID: a.endpoint.endpointId,
    Gateway: '172.17.0.1',
    IPAddress: '172.17.0.2',
    IPPrefixLen: 16,
    IPv6Gateway: '',
    GlobalIPv6Address: '',
    GlobalIPv6PrefixLen: 0,
  });
  serve(b.netns, 80);
  serve(outside, 80);
  assert.equal(await ask(a.netns, b.address, 80), a.address);
  assert.equal(await ask(a.netns, OUTSIDE, 80), HOST);
  assert.equal(await ask(host, b.address, 80), '172.17.0.1');
  await assert.rejects(ask(outside, b.address, 80), 'what is not published is not reachable from outside');
  using socket = new NetlinkSocket();
  assert.match(findLink(socket, 'hull0')?.mac ?? '', /^02:42:/, 'a bridge keeps its address');
  const { Containers } = networks.inspect('bridge');
  assert.deepEqual(
    Object.values(Containers ?? {}).map(({ Name, IPv4Address }) => [Name, IPv4Address]),
    [
      ['c1', '172.17.0.2/16'],
      ['c2', '172.17.0.3/16'],
    ],
  );
  await networks.disconnect(a.endpoint);
  await networks.disconnect(b.endpoint);
  await networks.cleanup();
});

test('published ports answer from outside, from the host and from containers', async () => {
  const networks = engine();
  await networks.restore();
  const a = await container(networks, [
    { containerPort: 80, protocol: 'tcp', hostPort: 8080 },
    { containerPort: 53, protocol: 'udp', hostPort: 5353 },
    { containerPort: 80, protocol: 'tcp', hostIp: '127.0.0.1', hostPort: 8081 },
    { containerPort: 80, protocol: 'tcp' },
    { containerPort: 80, protocol: 'tcp', hostIp: '::1', hostPort: 8082 },
  ]);
  const b = await container(networks);
  serve(a.netns, 80);
  udpEcho(a.netns, 53);
  assert.equal(await ask(outside, HOST, 8080), OUTSIDE, 'the client’s own address arrives');
  assert.equal(await ask(host, '127.0.0.1', 8080), '172.17.0.1');
  assert.equal(await ask(host, HOST, 8080), HOST);
  assert.equal(await ask(host, '::1', 8080), '172.17.0.1');
  assert.equal(await ask(host, '::1', 8082), '172.17.0.1');
  assert.equal(await ask(b.netns, HOST, 8080), '172.17.0.1');
  assert.equal(
    await ask(a.netns, HOST, 8080),
    '172.17.0.1',
    'a container reaches itself by the host’s address',
  );
  assert.equal(await ask(host, '127.0.0.1', 8081), '172.17.0.1');
  await assert.rejects(ask(outside, HOST, 8081), 'bound to loopback only');
  await assert.rejects(ask(outside, HOST, 8099));
  assert.equal(await ask(outside, HOST, 5353, { udp: true }), 'hello');
  assert.equal(await ask(host, '127.0.0.1', 5353, { udp: true }), 'hello');
  const random = a.endpoint.ports.filter(({ hostPort }) => hostPort >= 32_768);
  assert.deepEqual(
    random.map(({ hostIp }) => hostIp),
    ['0.0.0.0', '::'],
  );
  assert.equal(await ask(outside, HOST, random[0]?.hostPort ?? 0), OUTSIDE);
  await networks.disconnect(a.endpoint);
  await assert.rejects(ask(outside, HOST, 8080));
  await networks.disconnect(b.endpoint);
  await networks.cleanup();
});

test('a client that goes on sending over UDP reaches whichever container has the port now', async () => {
  const networks = engine();
  await networks.restore();
  const send = async (): Promise<string> => {
    const target = `UDP4:${HOST}:5353,sourceport=4444,reuseaddr`;
    const child = run('nsenter', [`--net=${outside}`, 'socat', '-t1', '-T1', '-', target], { timeout: 5000 });
    child.child.stdin?.end('hello\n');
    return (await child.catch(() => ({ stdout: '' }))).stdout.trim();
  };
  assert.equal(await send(), '', 'nobody there yet');
  const ports: PortRequest[] = [{ containerPort: 53, protocol: 'udp', hostPort: 5353 }];
  const a = await container(networks, ports);
  const keep = await container(networks);
  udpEcho(a.netns, 53);
  await sleep(200);
  assert.equal(await send(), 'hello');
  await networks.disconnect(a.endpoint);
  await container(networks);
  const b = await container(networks, ports);
  assert.notEqual(b.address, a.address);
  udpEcho(b.netns, 53);
  await sleep(200);
  assert.equal(await send(), 'hello');
  await networks.disconnect(keep.endpoint);
});

test('a port that somebody has is refused in Docker’s words, and nothing is left behind', async () => {
  const networks = engine();
  await networks.restore();
  const a = await container(networks, [{ containerPort: 80, protocol: 'tcp', hostPort: 8080 }]);
  const same: PortRequest[] = [
    { containerPort: 80, protocol: 'tcp', hostPort: 8088 },
    { containerPort: 80, protocol: 'tcp', hostPort: 8080 },
  ];
  await assert.rejects(container(networks, same, 'web'), {
    message:
      /^driver failed programming external connectivity on endpoint web \([\da-f]{64}\): Bind for 0\.0\.0\.0:8080 failed: port is already allocated$/,
  });
  const taken = serve(undefined, 9090);
  await assert.rejects(container(networks, [{ containerPort: 80, protocol: 'tcp', hostPort: 9090 }], 'web'), {
    message: /: failed to bind host port 0\.0\.0\.0:9090\/tcp: address already in use$/,
  });
  taken.close();
  const b = await container(networks, [
    { containerPort: 80, protocol: 'tcp', hostPort: 9090, hostPortEnd: 9095 },
  ]);
  assert.equal(b.address, '172.17.0.3');
  const c = await container(networks, [
    { containerPort: 80, protocol: 'tcp', hostPort: 9090, hostPortEnd: 9095 },
  ]);
  assert.deepEqual(
    [b, c].map(({ endpoint }) => endpoint.ports[0]?.hostPort),
    [9090, 9091],
  );
  for (const { endpoint } of [a, b, c]) await networks.disconnect(endpoint);
  await networks.cleanup();
});

test('restore() brings back bridge, rules and ports under running containers', async () => {
  const database = new Database(':memory:');
  const first = engine({}, database);
  await first.restore();
  const a = await container(first, [{ containerPort: 80, protocol: 'tcp', hostPort: 8080 }]);
  const gone = await container(first);
  serve(a.netns, 80);
  first.close();
  assert.equal(await ask(outside, HOST, 8080), OUTSIDE, 'without a daemon too');
  {
    using nft = new NftablesContext();
    nft.run('flush ruleset');
    using socket = new NetlinkSocket();
    removeLink(socket, findLink(socket, 'hull0')?.index ?? 0);
  }
  await assert.rejects(ask(outside, HOST, 8080));
  const second = engine({}, database);
  await second.restore([a.endpoint]);
  assert.equal(await ask(outside, HOST, 8080), OUTSIDE);
  assert.deepEqual(second.endpointsOf(gone.endpoint.containerId), []);
  const b = await container(second);
  assert.equal(b.address, gone.address);
  await assert.rejects(
    container(second, [{ containerPort: 80, protocol: 'tcp', hostPort: 8080 }]),
    /port is already allocated/,
  );
  await second.disconnect(a.endpoint);
  await second.disconnect(b.endpoint);
  await second.cleanup();
});

test('two daemons side by side choose different bridges, subnets and tables', async () => {
  const [one, two] = [engine(), engine({ instance: 'hullother' })];
  await one.restore();
  await two.restore();
  const [a, b] = [await container(one), await container(two)];
  assert.deepEqual([a.address, b.address], ['172.17.0.2', '172.18.0.2']);
  serve(b.netns, 80);
  await assert.rejects(ask(a.netns, b.address, 80), 'bridges are apart');
  await one.disconnect(a.endpoint);
  await one.cleanup();
  assert.equal(await ask(host, b.address, 80), '172.18.0.1');
  await two.disconnect(b.endpoint);
  await two.cleanup();
});

test('--icc=false keeps containers apart, and --iptables=false still serves published ports', async () => {
  const apart = engine({ icc: false });
  await apart.restore();
  const [a, b] = [
    await container(apart),
    await container(apart, [{ containerPort: 80, protocol: 'tcp', hostPort: 8080 }]),
  ];
  serve(b.netns, 80);
  // Only where bridged packets pass the rules for routed ones can they be kept apart, as with Docker.
  if (bridgedPacketsAreFiltered()) await assert.rejects(ask(a.netns, b.address, 80));
  assert.equal(await ask(a.netns, HOST, 8080), '172.17.0.1');
  await apart.disconnect(a.endpoint);
  await apart.disconnect(b.endpoint);
  await apart.cleanup();

  const plain = engine({ iptables: false });
  await plain.restore();
  const c = await container(plain, [{ containerPort: 80, protocol: 'tcp', hostPort: 8080 }]);
  serve(c.netns, 80);
  assert.equal(await ask(outside, HOST, 8080), '172.17.0.1');
  await plain.disconnect(c.endpoint);
  await plain.cleanup();
});

function bridgedPacketsAreFiltered(): boolean {
  try {
    return readFileSync('/proc/sys/net/bridge/bridge-nf-call-iptables', 'utf8').trim() === '1';
  } catch {
    return false;
  }
}

test('a chain that drops forwarded packets is named in the log, with what to do', async () => {
  using nft = new NftablesContext();
  nft.run(
    'table ip filter {\nchain DOCKER-USER {\n}\nchain FORWARD {\ntype filter hook forward priority 0; policy drop\n}\n}\n',
  );
  lines.length = 0;
  const networks = engine();
  await networks.restore();
  assert.match(lines.join(''), /level=warn .*ip filter FORWARD.*iptables -I DOCKER-USER/);
  nft.run('delete table ip filter');
  await networks.cleanup();
});

test('50 attaches and detaches leak nothing', async () => {
  const networks = engine();
  await networks.restore();
  for (let round = 0; round < 50; round++) {
    const ports: PortRequest[] =
      round % 2 === 0 ? [] : [{ containerPort: 80, protocol: 'tcp', hostPort: 8080 }];
    const { endpoint, netns } = await container(networks, ports);
    assert.equal(endpoint.ipv4?.address, '172.17.0.2');
    await networks.disconnect(endpoint);
    removeNetns(netns);
    namespaces.pop();
  }
  await noPairLeft();
  using socket = new NetlinkSocket();
  using nft = new NftablesContext();
  assert.doesNotMatch(nft.run('list map ip hull ports'), /elements/);
  await networks.cleanup();
  assert.equal(findLink(socket, 'hull0'), undefined);
  assert.equal(nft.run('list tables').includes('hull'), false);
});

test('a prepared interface is the next container’s, whatever became of it meanwhile', async () => {
  const networks = engine();
  await networks.restore();
  using socket = new NetlinkSocket();
  const newest = (): string =>
    listLinks(socket)
      .filter(({ name }) => name.startsWith('veth'))
      .toSorted((a, b) => b.index - a.index)[0]?.name ?? '';
  const next = async (wanted: WantedNetworks = { bridge: {} }) => {
    const netns = path.join(root, `prepared-${namespaces.length}`);
    namespaces.push(netns);
    const prepared = networks.makeNetns(netns, wanted);
    if (wanted['bridge'] === undefined) return { netns, prepared };
    const name = `c${++containers}`;
    const { endpoint } = await networks.connect({
      containerId: name.padEnd(64, '0'),
      name,
      networkName: 'bridge',
      netns,
      endpoint: wanted['bridge'],
      prepared,
    });
    attached.set(endpoint.endpointId, endpoint);
    return { netns, prepared, endpoint };
  };
  const reaches = (netns: string): Promise<string> => ask(netns, '172.17.0.1', 8000);
  serve(undefined, 8000);

  networks.makeSpare({ bridge: {} });
  const ready = newest();
  const first = await next();
  assert.equal(`veth${first.endpoint?.endpointId.slice(0, 11)}`, ready);
  assert.equal(await reaches(first.netns), first.endpoint?.ipv4?.address);

  networks.makeSpare({ bridge: {} });
  removeLink(socket, findLink(socket, newest())?.index ?? 0);
  const second = await next();
  assert.equal(await reaches(second.netns), second.endpoint?.ipv4?.address, 'somebody deleted the pair');

  networks.makeSpare({ bridge: {} });
  setLink(socket, newest(), { master: 0 });
  const third = await next();
  assert.equal(await reaches(third.netns), third.endpoint?.ipv4?.address, 'somebody took it off the bridge');

  networks.makeSpare({ bridge: {} });
  const alone = await next({ none: {} });
  assert.equal(alone.prepared, undefined);
  using inside = new NetlinkSocket(alone.netns);
  assert.deepEqual(
    listLinks(inside).map(({ name }) => name),
    ['lo'],
  );
  const named = await next({ bridge: { DriverOpts: { 'com.docker.network.endpoint.ifname': 'lan0' } } });
  assert.equal(named.prepared, undefined);
  assert.equal(named.endpoint?.interfaceName, 'lan0');
  for (const { endpoint } of [first, second, third, named]) if (endpoint) await networks.disconnect(endpoint);
  await networks.cleanup();
  networks.close();
  for (const file of namespaces.splice(FIXED)) removeNetns(file);
  await noPairLeft();
});

test('on host and none there is an endpoint in name only', async () => {
  const networks = engine();
  await networks.restore();
  const endpoints: Endpoint[] = [];
  for (const networkName of ['host', 'none']) {
    const { endpoint, settings } = await networks.connect({
      containerId: networkName.padEnd(64, '0'),
      name: networkName,
      networkName,
      netns: '',
    });
    assert.equal(settings.IPAddress, '');
    assert.equal(settings.NetworkID, networks.find(networkName).id);
    endpoints.push(endpoint);
  }
  for (const endpoint of endpoints) await networks.disconnect(endpoint);
  assert.deepEqual(
    networks.list().map(({ Name, Driver }) => `${Name} ${Driver}`),
    ['bridge bridge', 'host host', 'none null'],
  );
  assert.throws(() => networks.find('nowhere'), { kind: 'notFound', message: 'network nowhere not found' });
  await networks.cleanup();
});
