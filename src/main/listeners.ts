import { lookup } from 'node:dns/promises';
import { chmodSync, chownSync, mkdirSync, readFileSync, readlinkSync, rmSync, statSync } from 'node:fs';
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
  config: Pick<DaemonConfig, 'group' | 'tls' | 'tlsSaid'>;
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
      return await listenActivated(rest, options);
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
  if (tls?.verify !== true) await warnOfOpenPort(host, address, options);
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

/** dockerd warns, waits, and says that it will refuse in the end; here what it only announces is so. */
async function warnOfOpenPort(host: string, address: string, options: ListenerOptions): Promise<void> {
  const { config, logger } = options;
  const where = { host: `tcp://${address}` };
  if (!config.tlsSaid && !(await isLoopback(host))) {
    throw new Error(
      `Binding to tcp://${address} without --tlsverify gives root access on this machine to everyone who has access to your network. You can override this by explicitly specifying '--tls=false' or '--tlsverify=false'`,
    );
  }
  logger.warn(
    'Binding to IP address without --tlsverify is insecure and gives root access on this machine to everyone who has access to your network.',
    where,
  );
  logger.warn(
    'Binding to an IP address, even on localhost, can also give access to scripts run in a browser. Be safe out there!',
    where,
  );
}

async function isLoopback(host: string): Promise<boolean> {
  if (host === 'localhost') return true;
  const { address } = await lookup(host);
  return address === '::1' || address.startsWith('127.');
}

/** The sockets that systemd listens on for us: all of them, or the one of a number. */
async function listenActivated(wanted: string, options: ListenerOptions): Promise<Listener[]> {
  const count =
    process.env['LISTEN_PID'] === String(process.pid) ? Number(process.env['LISTEN_FDS'] ?? 0) : 0;
  if (count === 0) {
    throw new Error('no sockets found via socket activation: make sure the service was started by systemd');
  }
  const passed = Array.from({ length: count }, (_, index) => FIRST_ACTIVATED_FD + index);
  const all = wanted === '' || wanted === '*';
  if (!all && !/^\d+$/.test(wanted)) {
    throw new Error(`failed to parse systemd fd address: should be a number: ${wanted}`);
  }
  const chosen = all ? passed : passed.filter((fd) => fd === Number(wanted));
  if (chosen.length === 0) throw new Error('too few socket activated files passed in by systemd');
  const listeners: Listener[] = [];
  for (const fd of chosen) {
    const server = await options.createServer(isUnixSocket(fd) ? undefined : options.config.tls);
    await started(server, { fd } as ListenOptions);
    listeners.push({ address: `fd://${fd}`, close: () => {} });
  }
  return listeners;
}

/** proc_net_unix(5) lists all of them by their inodes. */
function isUnixSocket(fd: number): boolean {
  const inode = /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/self/fd/${fd}`))?.[1];
  return new RegExp(`^(\\S+ ){6}${inode}( |$)`, 'm').test(
    readFileSync('/proc/net/unix', 'utf8').replaceAll(/ +/g, ' '),
  );
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
