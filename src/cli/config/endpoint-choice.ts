import { existsSync } from 'node:fs';
import { ConnectionError } from '#/api/client/api-client.ts';
import { type Endpoint, parseEndpoint, type TlsFiles } from '#/api/client/endpoint.ts';
import { messageOf } from '#/base/errors.ts';
import type { FlagSet } from '../flags/flag-set.ts';
import { type ClientConfig, configDirectory } from './client-config.ts';

/** Where a daemon of this host listens when nobody says otherwise. */
export const DEFAULT_HOST = 'unix:///run/hull/hull.sock';

type Environment = Record<string, string | undefined>;

export interface ChosenEndpoint {
  endpoint: Endpoint;
  /** The name of the context it comes from. */
  context: string;
}

/**
 * The daemon to speak to. Flags come first, then the environment, then the context that the user chose for all commands:
 * docker's order, with HULL_HOST before DOCKER_HOST. Only behind the default socket is a daemon started.
 */
export async function chooseEndpoint(
  global: FlagSet | undefined,
  env: Environment,
  config: ClientConfig,
  startDaemon: ((socketPath: string) => Promise<void>) | undefined,
): Promise<ChosenEndpoint> {
  const hosts = global?.list('host') ?? [];
  const asked = global?.string('context') ?? '';
  if (hosts.length > 0 && asked !== '') {
    throw new Error('conflicting options: cannot specify both --host and --context');
  }
  try {
    if (hosts.length > 1) throw new Error('Specify only one -H');
    const context = asked || contextOfUser(hosts, env, config);
    if (context !== 'default') {
      const { readContext } = await import('./contexts.ts');
      const { host, tls } = readContext(configDirectory(env), context);
      return { endpoint: parseEndpoint(host || DEFAULT_HOST, tls), context };
    }
    const explicit = hosts[0] ?? (env['HULL_HOST'] || env['DOCKER_HOST']);
    const endpoint = parseEndpoint(explicit || DEFAULT_HOST, tlsFiles(global, env));
    if (explicit || !startDaemon) return { endpoint, context };
    return { endpoint: { name: endpoint.name, connect: connectOrStart(endpoint, startDaemon) }, context };
  } catch (error) {
    throw new Error(`Failed to initialize: unable to resolve hull endpoint: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

/** Stands for a daemon that cannot be made out, for commands that ask none. */
export function unreachable(context: string | undefined, reason: unknown): ChosenEndpoint {
  return { endpoint: { name: '', connect: () => Promise.reject(reason) }, context: context || 'default' };
}

function contextOfUser(hosts: readonly string[], env: Environment, config: ClientConfig): string {
  if (hosts.length > 0 || env['HULL_HOST'] || env['DOCKER_HOST']) return 'default';
  return env['DOCKER_CONTEXT'] || config.currentContext || 'default';
}

/** Connects, and once, when nothing listens, starts the daemon and tries again. */
function connectOrStart(
  endpoint: Endpoint,
  startDaemon: (socketPath: string) => Promise<void>,
): Endpoint['connect'] {
  let started: Promise<void> | undefined;
  return async () => {
    try {
      return await endpoint.connect();
    } catch (error) {
      const absent = error instanceof ConnectionError && /^(?:ENOENT|ECONNREFUSED)$/.test(error.code ?? '');
      if (!absent) throw error;
    }
    started ??= startDaemon(DEFAULT_HOST.replace('unix://', ''));
    await started;
    return endpoint.connect();
  };
}

function tlsFiles(global: FlagSet | undefined, env: Environment): TlsFiles | undefined {
  const verify = global?.bool('tlsverify') || Boolean(env['DOCKER_TLS_VERIFY']);
  if (!verify && !global?.bool('tls') && !env['DOCKER_TLS']) return undefined;
  const directory = env['DOCKER_CERT_PATH'] || configDirectory(env);
  const file = (flag: string, name: string): string => global?.string(flag) || `${directory}/${name}`;
  const optional = (path: string, flag: string): string | undefined =>
    global?.changed(flag) || existsSync(path) ? path : undefined;
  const ca = file('tlscacert', 'ca.pem');
  // A daemon that wants no certificate of its clients is common; one whose own nobody signed is not.
  if (!existsSync(ca)) throw new Error(`open ${ca}: no such file or directory`);
  return {
    ca,
    cert: optional(file('tlscert', 'cert.pem'), 'tlscert'),
    key: optional(file('tlskey', 'key.pem'), 'tlskey'),
    verify,
  };
}
