import { isIP } from 'node:net';
import { invalid } from '#/base/errors.ts';

/** What `host-gateway` in `--add-host` stands for. */
const HOST_GATEWAY = 'host-gateway';

const STANDARD = [
  '127.0.0.1\tlocalhost',
  '::1\tlocalhost ip6-localhost ip6-loopback',
  'fe00::\tip6-localnet',
  'ff00::\tip6-mcastprefix',
  'ff02::1\tip6-allnodes',
  'ff02::2\tip6-allrouters',
];

export interface HostsFileOptions {
  hostname: string;
  domainname?: string;
  /** The container's own addresses; without any the hostname is not in the file, as with Docker's `none` network. */
  addresses: readonly string[];
  /** `name:address` or `name=address`, as `--add-host` takes them. */
  extraHosts?: readonly string[] | null;
  links?: readonly { address: string; names: readonly string[] }[];
  /** The addresses of the host as the container sees it. */
  gateways?: readonly string[];
}

/** A container's /etc/hosts, in Docker's order: the standard names, what was added, linked containers, the container itself. */
export function hostsFile({
  hostname,
  domainname = '',
  addresses,
  extraHosts,
  links,
  gateways = [],
}: HostsFileOptions): string {
  const lines = [...STANDARD];
  for (const extra of extraHosts ?? []) {
    const { name, address } = parseExtraHost(extra);
    if (address === HOST_GATEWAY && gateways.length === 0) {
      throw invalid('unable to derive the IP value for host-gateway');
    }
    for (const each of address === HOST_GATEWAY ? gateways : [address]) lines.push(`${each}\t${name}`);
  }
  for (const { address, names } of links ?? []) lines.push(`${address}\t${names.join(' ')}`);
  const full = domainname === '' ? hostname : `${hostname}.${domainname}`;
  // A full name answers to its first part as well, wherever the domain was given.
  const [short = ''] = full.split('.');
  const names = short === full ? full : `${full} ${short}`;
  for (const address of addresses) lines.push(`${address}\t${names}`);
  return `${lines.join('\n')}\n`;
}

/** A hosts file in which the line that begins with this name has another address; other lines stay as whoever edited them left them. */
export function withAddress(hosts: string, name: string, address: string): string {
  return hosts
    .split('\n')
    .map((line) => (line.split(/\s+/)[1] === name ? `${address}\t${line.replace(/^\S+\s+/, '')}` : line))
    .join('\n');
}

/** Throws Docker's words for what is neither `name:address` nor `name=address`. */
export function parseExtraHost(text: string): { name: string; address: string } {
  const match = /^([^:=]+)[:=](.+)$/.exec(text);
  if (match?.[1] === undefined || match[2] === undefined) throw invalid(`bad format for add-host: "${text}"`);
  const address = match[2].replace(/^\[(.*)\]$/, '$1');
  if (address !== HOST_GATEWAY && isIP(address) === 0) {
    throw invalid(`invalid IP address in add-host: "${match[2]}"`);
  }
  return { name: match[1], address };
}

/** A container's /etc/hostname. */
export function hostnameFile(hostname: string): string {
  return `${hostname}\n`;
}
