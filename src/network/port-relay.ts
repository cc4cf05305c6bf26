import { createSocket, type Socket as DatagramSocket } from 'node:dgram';
import { type Server, connect, createServer } from 'node:net';

export interface RelayTarget {
  address: string;
  port: number;
}

/** A port of the host that this process holds. */
export interface PortHolder {
  close(): void;
}

/*
 * The kernel forwards what comes to a published port over IPv4, before any socket sees it. The socket is there to keep
 * other programs from taking the port, and it hands on what the kernel does not forward: connections over IPv6, and
 * everything when somebody has flushed the packet rules, or where `--iptables=false` forbids them. No process per port
 * as with docker-proxy; but what goes through it ends with the daemon.
 */

/** Resolves once listening; rejects with the SystemError of the bind. `address` may be `::` for both families. */
export async function relayTcp(address: string, port: number, target: RelayTarget): Promise<PortHolder> {
  const server: Server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    const upstream = connect({ host: target.address, port: target.port, allowHalfOpen: true, noDelay: true });
    client.on('error', () => upstream.destroy()).on('close', () => upstream.destroy());
    upstream.on('error', () => client.resetAndDestroy()).on('close', () => client.destroy());
    client.pipe(upstream).pipe(client);
  });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject);
  server.listen({ host: address, port, exclusive: true }, resolve);
  await promise;
  server.on('error', () => {});
  server.unref();
  return { close: () => server.close() };
}

/** A client that has been silent so long is forgotten: what conntrack gives an answered UDP flow. */
const UDP_IDLE_MS = 120_000;
const UDP_CLIENTS = 1024;

export async function relayUdp(address: string, port: number, target: RelayTarget): Promise<PortHolder> {
  const type = address.includes(':') ? 'udp6' : 'udp4';
  const socket = createSocket({ type });
  const clients = new Map<string, { upstream: DatagramSocket; timer: NodeJS.Timeout }>();
  const forget = (key: string): void => {
    const client = clients.get(key);
    if (client === undefined) return;
    clearTimeout(client.timer);
    client.upstream.close();
    clients.delete(key);
  };
  socket.on('message', (message, from) => {
    const key = `${from.address} ${from.port}`;
    let client = clients.get(key);
    if (client === undefined) {
      if (clients.size >= UDP_CLIENTS) return;
      const upstream = createSocket('udp4');
      upstream.on('message', (reply) => socket.send(reply, from.port, from.address, () => {}));
      upstream.on('error', () => forget(key));
      upstream.unref();
      client = { upstream, timer: setTimeout(() => forget(key), UDP_IDLE_MS) };
      client.timer.unref();
      clients.set(key, client);
    }
    client.timer.refresh();
    client.upstream.send(message, target.port, target.address, () => {});
  });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  socket.once('error', reject);
  socket.bind({ address, port, exclusive: true }, resolve);
  await promise;
  socket.on('error', () => {});
  socket.unref();
  return {
    close: () => {
      for (const key of clients.keys()) forget(key);
      socket.close();
    },
  };
}
