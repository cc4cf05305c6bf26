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
    // A client that has sent all its input still reads: plain HTTP servers have this on, this one has not.
    allowHalfOpen: true,
    ...(authority === undefined ? {} : { ca: authority, requestCert: true, rejectUnauthorized: true }),
  };
  try {
    return createServer({ ...options, ...context }, listener);
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
