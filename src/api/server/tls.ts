import { readFile } from 'node:fs/promises';
import type { RequestListener, Server, ServerOptions } from 'node:http';
import { messageOf } from '#/base/errors.ts';

/** Paths of PEM files. */
export interface TlsFiles {
  /** Clients must show a certificate of `authority`. */
  verify: boolean;
  authority?: string;
  certificate: string;
  key: string;
}

/** An HTTPS server; node:https is loaded only for it. */
export async function createTlsServer(
  files: TlsFiles,
  options: ServerOptions,
  listener: RequestListener,
): Promise<Server> {
  const { createServer } = await import('node:https');
  const [certificate, key, authority] = await Promise.all([
    readPem(files.certificate),
    readPem(files.key),
    files.verify && files.authority !== undefined ? readPem(files.authority) : undefined,
  ]);
  const context = {
    cert: certificate,
    key,
    minVersion: 'TLSv1.2' as const,
    ...(authority === undefined ? {} : { ca: authority, requestCert: true, rejectUnauthorized: true }),
  };
  try {
    const server = createServer({ ...options, ...context }, listener);
    // A client that has sent all its input still reads: plain HTTP servers have this on, this one has not. As an option of the
    // server it would hold for the handshake too, and one that a client breaks off would keep its connection for minutes.
    server.on('secureConnection', (socket) => (socket.allowHalfOpen = true));
    return server;
  } catch (error) {
    throw new Error(`invalid TLS configuration: ${messageOf(error)}`, { cause: error });
  }
}

async function readPem(file: string): Promise<Buffer> {
  try {
    return await readFile(file);
  } catch (error) {
    throw new Error(`invalid TLS configuration: ${messageOf(error)}`, { cause: error });
  }
}
