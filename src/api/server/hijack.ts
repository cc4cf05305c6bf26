import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Exchange } from './exchange.ts';

/**
 * Takes the connection out of HTTP: from here on it carries bytes both ways, each with an end of its own. A client that asked for
 * `Upgrade: tcp` gets 101, an older one 200 (moby's api/server/router/container/container_routes.go, postContainersAttach).
 * The request's body must have been read.
 */
export function hijack(exchange: Exchange, contentType: string): Duplex {
  const socket = takeSocket(exchange);
  const upgraded = exchange.request.headers.upgrade !== undefined;
  socket.write(
    upgraded
      ? `HTTP/1.1 101 UPGRADED\r\nContent-Type: ${contentType}\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n${commonHeaders(exchange)}\r\n`
      : `HTTP/1.1 200 OK\r\nContent-Type: ${contentType}\r\n${commonHeaders(exchange)}\r\n`,
  );
  return socket;
}

/** The connection itself, for whatever is spoken on it from here on. */
export function takeSocket({ request, response }: Exchange): Socket {
  const { socket } = request;
  // A listener for data makes Node's parser give the socket back; then no other of its listeners may see the bytes. The one for
  // "close" stays, because it frees the parser.
  const onData = (): void => {};
  socket.on('data', onData);
  for (const event of ['data', 'end', 'drain', 'error', 'timeout']) socket.removeAllListeners(event);
  response.detachSocket(socket);
  socket.pause();
  socket.on('error', () => socket.destroy());
  socket.setTimeout(0);
  return socket;
}

export function commonHeaders({ response }: Exchange): string {
  return Object.entries(response.getHeaders())
    .map(([name, value]) => `${name}: ${String(value)}\r\n`)
    .join('');
}
