import { closeSync } from 'node:fs';
import { createSocket } from 'node:dgram';
import net from 'node:net';
import tls from 'node:tls';

import { checked, libc } from '#/host/libc.ts';

/** Servers for logs, made for tests. */
export interface Receiver extends AsyncDisposable {
  /** A port of 127.0.0.1, or a path. */
  readonly address: string;
  /** What came so far: each message, and of streams each line. */
  readonly received: string[];
}

export async function udpReceiver(): Promise<Receiver> {
  const received: string[] = [];
  const socket = createSocket('udp4');
  socket.on('message', (message) => received.push(message.toString()));
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
  return {
    address: String(socket.address().port),
    received,
    [Symbol.asyncDispose]: () => new Promise<void>((resolve) => socket.close(resolve)),
  };
}

/** On a path, or on a port of which 0 is a free one; with a server's key and certificate over TLS. */
export async function streamReceiver(where: string | number, secure?: tls.TlsOptions): Promise<Receiver> {
  const received: string[] = [];
  const connections = new Set<net.Socket>();
  const server = secure === undefined ? net.createServer() : tls.createServer(secure);
  server.on('connection', (connection: net.Socket) => {
    connections.add(connection);
    connection.on('error', () => {});
  });
  server.on(secure === undefined ? 'connection' : 'secureConnection', (connection: net.Socket) => {
    let rest = '';
    connection.on('error', () => {});
    connection.on('data', (data) => {
      const lines = (rest + data.toString()).split('\n');
      rest = lines.pop() ?? '';
      received.push(...lines);
    });
  });
  await new Promise<void>((resolve) => {
    if (typeof where === 'number') server.listen(where, '127.0.0.1', resolve);
    else server.listen(where, resolve);
  });
  const bound = server.address();
  return {
    address: typeof bound === 'object' && bound !== null ? String(bound.port) : String(where),
    received,
    async [Symbol.asyncDispose]() {
      for (const connection of connections) connection.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const SOCK_CLOEXEC = 0o2000000;
const MSG_DONTWAIT = 0x40;
/** unix(7): the family, and a path of 108 bytes. */
const ADDRESS_SIZE = 110;

/** Datagrams on a unix socket, which Node does not know: looked for so often. The kernel keeps ten. */
export function datagramReceiver(path: string, everyMs = 2): Receiver {
  const fd = checked(libc.socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), 'socket');
  const address = Buffer.alloc(ADDRESS_SIZE);
  address.writeUInt16LE(AF_UNIX);
  address.write(path, 2);
  checked(libc.bind(fd, address, address.length), 'bind', path);
  const received: string[] = [];
  const buffer = Buffer.alloc(1 << 20);
  const timer = setInterval(() => {
    for (;;) {
      const length = libc.recv(fd, buffer, buffer.length, MSG_DONTWAIT);
      if (length < 0) return;
      received.push(buffer.toString('utf8', 0, length));
    }
  }, everyMs);
  return {
    address: path,
    received,
    async [Symbol.asyncDispose]() {
      clearInterval(timer);
      closeSync(fd);
    },
  };
}
