import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { errnoCode, messageOf } from '#/base/errors.ts';

/** What of `~/.docker/config.json` this client honours; the file is docker's own. */
export interface ClientConfig {
  auths?: Record<string, { auth?: string; identitytoken?: string; registrytoken?: string }>;
  /** Sent with every request. */
  HttpHeaders?: Record<string, string>;
  /** The `--format` of tables whose command line gives none. */
  psFormat?: string;
  imagesFormat?: string;
  networksFormat?: string;
  volumesFormat?: string;
  statsFormat?: string;
  detachKeys?: string;
  /** Variables that containers are given, by the daemon's host or `default`. */
  proxies?: Record<string, ProxySettings>;
  currentContext?: string;
}

export interface ProxySettings {
  httpProxy?: string;
  httpsProxy?: string;
  noProxy?: string;
  ftpProxy?: string;
  allProxy?: string;
}

/** Where configuration and contexts lie. */
export function configDirectory(env: Record<string, string | undefined>): string {
  return env['DOCKER_CONFIG'] || `${env['HOME'] ?? ''}/.docker`;
}

/** The file's settings; none without it. One that cannot be read is told of and left aside, as docker does. */
export function readClientConfig(directory: string, warn: (text: string) => void): ClientConfig {
  const file = `${directory}/config.json`;
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    const code = errnoCode(error);
    if (code !== 'ENOENT' && code !== 'ENOTDIR') {
      warn(`WARNING: Error loading config file: ${file}: ${messageOf(error)}\n`);
    }
    return {};
  }
  try {
    const config: unknown = JSON.parse(text);
    return typeof config === 'object' && config !== null ? config : {};
  } catch (error) {
    warn(`WARNING: Error parsing config file (${file}): ${messageOf(error)}\n`);
    return {};
  }
}

/**
 * Makes a context the one of all commands to come; undefined for the default. What else the file holds stays as it is, and nobody ever reads half
 * of it.
 */
export function writeCurrentContext(directory: string, name: string | undefined): void {
  const file = `${directory}/config.json`;
  const config = readClientConfig(directory, (text) => {
    throw new Error(text.trimEnd());
  });
  delete config.currentContext;
  if (name !== undefined) config.currentContext = name;
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const partial = `${file}.${process.pid}`;
  writeFileSync(partial, JSON.stringify(config, undefined, '\t'), { mode: 0o600 });
  renameSync(partial, file);
}

/** The variables of a container that reaches the world through the user's proxies, unless `given` sets them otherwise. */
export function proxyVariables(
  { proxies = {} }: ClientConfig,
  host: string,
  given: readonly string[],
): string[] {
  const settings = proxies[host] ?? proxies['default'];
  if (!settings) return [];
  const set = new Set(given.map((variable) => variable.split('=', 1)[0]));
  const wanted: [string, string | undefined][] = [
    ['HTTP_PROXY', settings.httpProxy],
    ['HTTPS_PROXY', settings.httpsProxy],
    ['NO_PROXY', settings.noProxy],
    ['FTP_PROXY', settings.ftpProxy],
    ['ALL_PROXY', settings.allProxy],
  ];
  return wanted.flatMap(([name, value]) =>
    // Programs look at either spelling.
    value
      ? [name, name.toLowerCase()].filter((each) => !set.has(each)).map((each) => `${each}=${value}`)
      : [],
  );
}
