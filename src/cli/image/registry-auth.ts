import type { ClientConfig } from '../config/client-config.ts';

/** Docker Hub keeps the key of its first days. */
const HUB_KEY = 'https://index.docker.io/v1/';

/** The header that lends the daemon the user's credentials for a registry; an empty document where there are none. */
export function registryAuth({ auths }: ClientConfig, registry: string): Record<string, string> {
  const key = registry === 'docker.io' ? HUB_KEY : registry;
  const found = auths?.[key] ?? auths?.[`https://${key}`];
  if (!found) return header({});
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
  return header(auth);
}

/** Base 64 for URLs, with its padding. */
function header(auth: object): Record<string, string> {
  const text = Buffer.from(JSON.stringify(auth)).toString('base64');
  return { 'X-Registry-Auth': text.replaceAll('+', '-').replaceAll('/', '_') };
}
