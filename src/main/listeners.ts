import { chmodSync, chownSync, mkdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { connect, type ListenOptions, type Server } from 'node:net';
import path from 'node:path';
import { errnoCode } from '#/base/errors.ts';
import type { Logger } from '#/base/log.ts';
import type { DaemonConfig, TlsConfig } from './daemon-config.ts';

/** One of the places where the API is served. */
export interface Listener {
  /** As the log tells it: a path, or `host:port`. */
  readonly address: string;
  close(): void;
}

export interface ListenerOptions {
  config: Pick<DaemonConfig, 'group' | 'tls'>;
  /** A server of the API, not yet listening; over TLS when it is given. */
  createServer: (tls?: TlsConfig) => Promise<Server>;
  logger: Logger;
}

/** Docker's ports, without and with TLS. */
const PORT = 2375;
const TLS_PORT = 2376;
/** The first descriptor that socket activation passes (sd_listen_fds(3)). */
const FIRST_ACTIVATED_FD = 3;
const USUAL_GROUPS = ['docker', 'hull'];

/** Listens at one `-H`: unix://path, tcp://host:port, fd:// or a bare path's word for it. */
export async function listen(host: string, options: ListenerOptions): Promise<Listener[]> {
  const at = host.indexOf('://');
  const [scheme, rest] = at < 0 ? ['tcp', host] : [host.slice(0, at), host.slice(at + 3)];
  switch (scheme) {
    case 'unix':
      return [await listenUnix(rest || '/run/hull/hull.sock', options)];
    case 'tcp':
      return [await listenTcp(rest, options)];
    case 'fd':
      return await listenActivated(options);
    default:
      throw new Error(`invalid bind address (${host}): unsupported proto "${scheme}"`);
  }
}

async function listenUnix(socketPath: string, options: ListenerOptions): Promise<Listener> {
  await clearStale(socketPath);
  mkdirSync(path.dirname(socketPath), { recursive: true, mode: 0o755 });
  const server = await options.createServer();
  // The socket is made in the same turn, so that it never stands open to everyone.
  const mask = process.umask(0o117);
  const listening = started(server, { path: socketPath });
  process.umask(mask);
  await listening;
  setGroup(socketPath, options);
  return { address: socketPath, close: () => rmSync(socketPath, { force: true }) };
}

/** A socket that nobody listens on is left over from a daemon that was killed. */
async function clearStale(socketPath: string): Promise<void> {
  try {
    if (!statSync(socketPath).isSocket()) {
      throw new Error(`listen unix ${socketPath}: bind: address already in use`);
    }
  } catch (error) {
    if (errnoCode(error) === 'ENOENT') return;
    throw error;
  }
  const answers = await new Promise<boolean>((resolve) => {
    const probe = connect(socketPath, () => resolve(true));
    probe.on('error', () => resolve(false));
    probe.unref().on('connect', () => probe.destroy());
  });
  if (answers) throw new Error(`listen unix ${socketPath}: bind: address already in use`);
  rmSync(socketPath, { force: true });
}

function setGroup(socketPath: string, { config, logger }: ListenerOptions): void {
  const names = config.group === undefined ? USUAL_GROUPS : [config.group];
  const gid = names.map(groupId).find((id) => id !== undefined);
  chmodSync(socketPath, 0o660);
  if (gid !== undefined) chownSync(socketPath, process.getuid?.() ?? 0, gid);
  else if (config.group !== undefined) {
    logger.warn(`could not change group ${socketPath} to ${config.group}: group ${config.group} not found`);
  }
}

function groupId(name: string): number | undefined {
  if (/^\d+$/.test(name)) return Number(name);
  const line = readFileSync('/etc/group', 'utf8')
    .split('\n')
    .find((entry) => entry.startsWith(`${name}:`));
  return line === undefined ? undefined : Number(line.split(':')[2]);
}

async function listenTcp(address: string, options: ListenerOptions): Promise<Listener> {
  const { tls } = options.config;
  const { host, port } = splitAddress(address, tls === undefined ? PORT : TLS_PORT);
  if (tls?.verify !== true && !isLoopback(host)) {
    options.logger.warn(
      'Binding to IP address without --tlsverify is insecure and gives root access on this machine to everyone who has access to your network.',
      { host: `tcp://${address}` },
    );
  }
  const server = await options.createServer(tls);
  await started(server, { host, port });
  const bound = server.address();
  const actual = typeof bound === 'object' && bound !== null ? bound.port : port;
  return { address: `${host.includes(':') ? `[${host}]` : host}:${actual}`, close: () => {} };
}

/** `host:port`, `[::1]:port`, `host` or `:port`. */
function splitAddress(address: string, defaultPort: number): { host: string; port: number } {
  const match = /^(?:\[([^\]]*)\]|([^:]*))(?::(\d+))?\/?$/.exec(address);
  const port = Number(match?.[3] ?? defaultPort);
  if (match === null || port > 65_535) throw new Error(`invalid bind address format: ${address}`);
  return { host: match[1] || match[2] || 'localhost', port };
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host.startsWith('127.');
}

/** The sockets that systemd listens on for us. */
async function listenActivated(options: ListenerOptions): Promise<Listener[]> {
  const count =
    process.env['LISTEN_PID'] === String(process.pid) ? Number(process.env['LISTEN_FDS'] ?? 0) : 0;
  if (count === 0) {
    throw new Error('no sockets found via socket activation: make sure the service was started by systemd');
  }
  const listeners: Listener[] = [];
  for (let fd = FIRST_ACTIVATED_FD; fd < FIRST_ACTIVATED_FD + count; fd++) {
    const server = await options.createServer();
    await started(server, { fd } as ListenOptions);
    listeners.push({ address: `fd://${fd}`, close: () => {} });
  }
  return listeners;
}

function started(server: Server, where: ListenOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(where, () => {
      server.off('error', reject);
      resolve();
    });
  });
}
