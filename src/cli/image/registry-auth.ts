import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

interface ConfigFile {
  auths?: Record<string, { auth?: string; identitytoken?: string; registrytoken?: string }>;
}

/** Docker Hub keeps the key of its first days. */
const HUB_KEY = 'https://index.docker.io/v1/';

/** The header that lends the daemon the user's credentials for a registry, from `~/.docker/config.json`. */
export function registryAuth(registry: string): Record<string, string> {
  const directory = process.env['DOCKER_CONFIG'] ?? join(homedir(), '.docker');
  let config: ConfigFile;
  try {
    config = JSON.parse(readFileSync(join(directory, 'config.json'), 'utf8')) as ConfigFile;
  } catch {
    // No file, or none that can be read: the daemon asks anonymously.
    return {};
  }
  const key = registry === 'docker.io' ? HUB_KEY : registry;
  const found = config.auths?.[key] ?? config.auths?.[`https://${key}`];
  if (!found) return {};
  const [username = '', ...password] = Buffer.from(found.auth ?? '', 'base64')
    .toString()
    .split(':');
  const auth = {
    username,
    password: password.join(':'),
    serveraddress: key,
    ...(found.identitytoken && { identitytoken: found.identitytoken }),
    ...(found.registrytoken && { registrytoken: found.registrytoken }),
  };
  return { 'X-Registry-Auth': Buffer.from(JSON.stringify(auth)).toString('base64url') };
}
