import { isIP, isIPv4 } from 'node:net';

/** What `--dns`, `--dns-search` and `--dns-option` say; an empty or absent list leaves the host's. */
export interface DnsConfig {
  servers?: readonly string[] | null | undefined;
  search?: readonly string[] | null | undefined;
  options?: readonly string[] | null | undefined;
}

/** Docker's, for hosts that have only a resolver of their own: a container cannot reach the host's loopback. */
const FALLBACK_SERVERS = ['8.8.8.8', '8.8.4.4'];

/** Where the host's name servers are read from, in this order of preference: see chooseResolvConf. */
export const RESOLV_CONF = '/etc/resolv.conf';
/** systemd-resolved's list of the servers behind its own 127.0.0.53. */
export const RESOLVED_UPSTREAM = '/run/systemd/resolve/resolv.conf';

/** `/etc/resolv.conf` names only systemd-resolved's stub: then the file behind it says what a container can use. */
export function isResolvedStub(text: string): boolean {
  const { servers } = parse(text);
  return servers.length === 1 && servers[0] === '127.0.0.53';
}

export interface ResolvConfOptions {
  dns?: DnsConfig;
  /** The container shares the host's network namespace: its loopback name servers are good there. */
  hostNetwork?: boolean;
  /** IPv6 name servers are of use only where the container has IPv6. */
  ipv6?: boolean;
}

/** A container's /etc/resolv.conf from the host's text and what was asked for. */
export function resolvConf(
  host: string,
  { dns = {}, hostNetwork = false, ipv6 = false }: ResolvConfOptions = {},
): string {
  const theirs = parse(host);
  let servers: readonly string[] = dns.servers ?? [];
  if (servers.length === 0) {
    servers = theirs.servers;
    if (!hostNetwork) {
      servers = servers.filter((server) => !isLoopback(server) && (ipv6 || isIPv4(server)));
      if (servers.length === 0) servers = FALLBACK_SERVERS;
    }
  }
  // A lone "." asks for no search list at all (docker run --help, --dns-search).
  const search = pick(dns.search, theirs.search).filter((domain) => domain !== '.');
  const options = pick(dns.options, theirs.options);
  const lines = servers.map((server) => `nameserver ${server}`);
  if (search.length > 0) lines.push(`search ${search.join(' ')}`);
  if (options.length > 0) lines.push(`options ${options.join(' ')}`);
  return `${lines.join('\n')}\n`;
}

function pick(asked: readonly string[] | null | undefined, theirs: readonly string[]): readonly string[] {
  return asked === null || asked === undefined || asked.length === 0 ? theirs : asked;
}

function isLoopback(server: string): boolean {
  return server.startsWith('127.') || server === '::1';
}

/** resolv.conf(5): of `search` and `domain` the last counts; options add up. */
function parse(text: string): { servers: string[]; search: string[]; options: string[] } {
  const servers: string[] = [];
  let search: string[] = [];
  const options: string[] = [];
  for (const line of text.split('\n')) {
    const [keyword, ...values] = line
      .replace(/[#;].*/, '')
      .trim()
      .split(/\s+/);
    if (keyword === 'nameserver' && isIP(values[0] ?? '') !== 0) servers.push(values[0] ?? '');
    else if (keyword === 'search' || keyword === 'domain') search = values;
    else if (keyword === 'options') options.push(...values);
  }
  return { servers, search, options };
}
