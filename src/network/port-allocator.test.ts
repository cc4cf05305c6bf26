import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import { test } from 'node:test';
import { PortAllocator } from './port-allocator.ts';

const target = { address: '127.0.0.1', port: 9 };
const loopback = { containerPort: 80, protocol: 'tcp', hostIp: '127.0.0.1' } as const;

test('PortAllocator gives free ports, each once, and takes them back', async () => {
  const ports = new PortAllocator();
  const leases = await Promise.all([1, 2, 3].map(() => ports.lease(loopback, target)));
  const given = leases.map(({ published }) => published[0]?.hostPort ?? 0);
  assert.equal(new Set(given).size, 3);
  const [first] = given;
  const same = { ...loopback, hostPort: first ?? 0 };
  await assert.rejects(ports.lease(same, target), {
    message: `Bind for 127.0.0.1:${first} failed: port is already allocated`,
  });
  // What is held on one address is taken on all.
  await assert.rejects(ports.lease({ containerPort: 80, protocol: 'tcp', hostPort: first ?? 0 }, target), {
    message: `Bind for 0.0.0.0:${first} failed: port is already allocated`,
  });
  const udp = await ports.lease({ ...same, protocol: 'udp' }, target);
  for (const lease of [...leases, udp]) lease.release();
  (await ports.lease(same, target)).release();
});

test('PortAllocator refuses a port that another program has, and passes over it in a range', async () => {
  const other = createServer().listen(0, '127.0.0.1');
  await once(other, 'listening');
  const { port } = other.address() as AddressInfo;
  const ports = new PortAllocator();
  await assert.rejects(ports.lease({ ...loopback, hostPort: port }, target), {
    message: `failed to bind host port 127.0.0.1:${port}/tcp: address already in use`,
  });
  const next = await ports.lease({ ...loopback, hostPort: port, hostPortEnd: port + 20 }, target);
  assert.ok((next.published[0]?.hostPort ?? 0) > port);
  next.release();
  other.close();
  await assert.rejects(ports.lease({ ...loopback, hostIp: '192.0.2.200', hostPort: 4711 }, target), {
    message: 'failed to bind host port 192.0.2.200:4711/tcp: cannot assign requested address',
  });
});

test('a held port hands connections on, both ways and half closed', async () => {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    const parts: Buffer[] = [];
    socket
      .on('data', (data) => parts.push(Buffer.from(data)))
      .on('end', () => socket.end(Buffer.concat(parts).reverse()));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const ports = new PortAllocator();
  const lease = await ports.lease(loopback, { ...target, port: (server.address() as AddressInfo).port });
  const client = connect({ host: '127.0.0.1', port: lease.published[0]?.hostPort ?? 0, allowHalfOpen: true });
  client.end('abc');
  let answer = '';
  for await (const data of client) answer += String(data);
  assert.equal(answer, 'cba');
  lease.release();
  server.close();
});
