import { readFileSync } from 'node:fs';
import { type Socket, connect, isIP } from 'node:net';
import type { Duplex } from 'node:stream';
import { errnoCode, messageOf } from '#/base/errors.ts';

/** Where a daemon listens, and how it is spoken to. `name` is the host as the user would write it. */
export interface Endpoint {
  name: string;
  connect(): Promise<Duplex>;
}

export interface TlsFiles {
  ca?: string | undefined;
  cert?: string | undefined;
  key?: string | undefined;
  verify: boolean;
}

/** No daemon answered at the endpoint. `code` is the system's error code (`ENOENT`, `ECONNREFUSED`, `EACCES`). */
export class ConnectionError extends Error {
  override readonly name = 'ConnectionError';
  readonly code: string | undefined;

  constructor(message: string, code: string | undefined, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/**
 * Reads a `-H` value: `unix:///path`, `tcp://host:port`, or either without its scheme.
 * Throws with Docker's words when it is neither.
 */
export function parseEndpoint(host: string, tls?: TlsFiles): Endpoint {
  const value = host.trim();
  if (value.startsWith('unix://') || value.startsWith('/')) {
    const socketPath = value.replace(/^unix:\/\//, '');
    const name = `unix://${socketPath}`;
    return { name, connect: () => dial(() => connect(socketPath), name, 'connect') };
  }
  const ssh = /^ssh:\/\/([^/]+)/.exec(value);
  if (ssh) {
    throw new Error(
      `${value}: hull does not speak ssh; forward the socket: ssh -nNT -L /tmp/hull.sock:/run/hull/hull.sock ${ssh[1]}, then -H unix:///tmp/hull.sock`,
    );
  }
  const match = /^(?:(tcp|http|https):\/\/)?(\[[^\]]+\]|[^/:[\]]*)(?::(\d+))?\/?$/.exec(value);
  if (!match)
    throw new Error(
      `unable to parse the daemon's host "${host}": unix://PATH or tcp://HOST[:PORT] is wanted`,
    );
  const secure = tls !== undefined || match[1] === 'https';
  const hostname = (match[2] || 'localhost').replace(/^\[|\]$/g, '');
  const port = Number(match[3] ?? (secure ? 2376 : 2375));
  const name = `tcp://${hostname.includes(':') ? `[${hostname}]` : hostname}:${port}`;
  if (!secure) return { name, connect: () => dial(() => connect(port, hostname), name, 'connect') };
  return {
    name,
    connect: async () => {
      // Loaded only here, and so: `import()` is not to be had in the script that the client's bundle runs as.
      const { connect } = process.getBuiltinModule('node:tls');
      const read = (file: string | undefined): Buffer | undefined =>
        file === undefined ? undefined : readFileSync(file);
      const options = {
        host: hostname,
        port,
        servername: isIP(hostname) ? '' : hostname,
        ca: read(tls?.ca),
        cert: read(tls?.cert),
        key: read(tls?.key),
        rejectUnauthorized: tls?.verify ?? true,
      };
      return dial(() => connect(options), name, 'secureConnect');
    },
  };
}

function dial(open: () => Socket, name: string, ready: 'connect' | 'secureConnect'): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    const socket = open();
    const fail = (error: Error): void => {
      reject(new ConnectionError(failure(name, error), errnoCode(error), { cause: error }));
    };
    socket.once('error', fail);
    socket.once(ready, () => {
      socket.off('error', fail);
      socket.setNoDelay?.(true);
      resolve(socket);
    });
  });
}

/** Docker's words for a daemon that is not there, with our daemon's name. */
function failure(name: string, error: Error): string {
  const code = errnoCode(error);
  if (code === 'EACCES' || code === 'EPERM') {
    return `permission denied while trying to connect to the Hull daemon socket at ${name}: ${messageOf(error)}`;
  }
  if (code === 'ENOENT' || code === 'ECONNREFUSED' || code === 'ENOTSOCK' || code === 'ENOTDIR') {
    return `Cannot connect to the Hull daemon at ${name}. Is the hull daemon running?`;
  }
  return `error during connect: ${name}: ${messageOf(error)}`;
}
