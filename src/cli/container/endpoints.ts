import type { FlagSet } from '../flags/flag-set.ts';
import { isUserDefined, type NetworkOption, parseNetworkOption } from './network-option.ts';

/** Six or eight bytes, as Go reads them: with colons, hyphens, or dots between pairs. */
const MAC_ADDRESS =
  /^[\da-f]{2}(?:([:-])[\da-f]{2})(?:\1[\da-f]{2}){4}(?:(?:\1[\da-f]{2}){2})?$|^[\da-f]{4}(?:\.[\da-f]{4}){2,3}$/i;

/** What the daemon knows of an endpoint; docker's clients send it empty. */
export const UNKNOWN_TO_CLIENTS = {
  MacAddress: '',
  NetworkID: '',
  EndpointID: '',
  Gateway: '',
  IPAddress: '',
  IPPrefixLen: 0,
  IPv6Gateway: '',
  GlobalIPv6Address: '',
  GlobalIPv6PrefixLen: 0,
  DNSNames: null,
};

/** Every `--network` in order; the flags beside it (`--ip`, `--network-alias`, …) configure the first. */
export function networkOptions(flags: FlagSet): NetworkOption[] {
  const networks = [...flags.list('network'), ...flags.list('net')].map(parseNetworkOption);
  if (networks.some(({ name }) => name === '')) throw new Error('no name set for network');
  const aliases = [...flags.list('network-alias'), ...flags.list('net-alias')];
  const [first] = networks;
  if (aliases.length > 0 && !isUserDefined(first?.name ?? 'default')) {
    throw new Error('network-scoped aliases are only supported for user-defined networks');
  }
  if (first === undefined) return [];
  const conflict = (flag: string): never => {
    throw new Error(`conflicting options: cannot specify both --${flag} and per-network ${perNetwork(flag)}`);
  };
  if (aliases.length > 0 && first.aliases.length > 0) conflict('network-alias');
  if (flags.changed('link') && first.links.length > 0) conflict('link');
  if (flags.changed('ip') && first.ipv4 !== undefined) conflict('ip');
  if (flags.changed('ip6') && first.ipv6 !== undefined) conflict('ip6');
  if (flags.changed('mac-address') && first.macAddress !== undefined) conflict('mac-address');
  if (flags.changed('link-local-ip') && first.linkLocalAddresses.length > 0) conflict('link-local-ip');
  return networks;
}

function perNetwork(flag: string): string {
  const words: Record<string, string> = {
    'network-alias': 'alias',
    link: 'links',
    ip: 'IPv4 address',
    ip6: 'IPv6 address',
    'mac-address': 'MAC address',
    'link-local-ip': 'link-local IP addresses',
  };
  return words[flag] ?? flag;
}

/**
 * The endpoints a container is created with, by network. A network of which nothing else is said has none: its name is the
 * network mode, and the daemon knows the rest.
 */
export function endpoints(flags: FlagSet): Record<string, object> {
  const networks = networkOptions(flags);
  if (networks.length === 0) return { default: endpoint(parseNetworkOption('default'), flags) };
  const result: Record<string, object> = {};
  for (const [index, network] of networks.entries()) {
    if (network.name in result)
      throw new Error(`network ${JSON.stringify(network.name)} is specified multiple times`);
    result[network.name] = endpoint(network, index === 0 ? flags : undefined);
  }
  if (new Set(networks.map(({ name }) => isUserDefined(name))).size > 1) {
    throw new Error(
      'conflicting options: cannot attach both user-defined and non-user-defined network-modes',
    );
  }
  const [only, ...others] = Object.entries(result);
  if (others.length === 0 && JSON.stringify(only?.[1]) === PLAIN) return {};
  return Object.fromEntries(Object.entries(result).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** An endpoint of which nothing is said. */
const PLAIN = JSON.stringify({
  IPAMConfig: null,
  Links: null,
  Aliases: null,
  DriverOpts: null,
  GwPriority: 0,
  ...UNKNOWN_TO_CLIENTS,
});

/** An endpoint's settings, empty ones included, as Docker's client sends them. */
function endpoint(network: NetworkOption, flags: FlagSet | undefined): object {
  const userDefined = isUserDefined(network.name);
  const links = [...network.links, ...(userDefined ? (flags?.list('link') ?? []) : [])];
  const aliases = [
    ...network.aliases,
    ...(flags?.list('network-alias') ?? []),
    ...(flags?.list('net-alias') ?? []),
  ];
  const local = [...network.linkLocalAddresses, ...(flags?.list('link-local-ip') ?? [])];
  const macAddress = (network.macAddress ?? flags?.string('mac-address')) || '';
  if (macAddress !== '' && !MAC_ADDRESS.test(macAddress)) {
    throw new Error(`${macAddress} is not a valid mac address`);
  }
  const ipv4 = network.ipv4 ?? flags?.string('ip');
  const ipv6 = network.ipv6 ?? flags?.string('ip6');
  const ipam = {
    ...(ipv4 && { IPv4Address: ipv4 }),
    ...(ipv6 && { IPv6Address: ipv6 }),
    ...(local.length > 0 && { LinkLocalIPs: local }),
  };
  return {
    IPAMConfig: Object.keys(ipam).length > 0 ? ipam : null,
    Links: links.length > 0 ? links : null,
    Aliases: aliases.length > 0 ? aliases : null,
    DriverOpts: network.driverOptions ?? null,
    GwPriority: network.priority ?? 0,
    ...UNKNOWN_TO_CLIENTS,
    MacAddress: macAddress,
  };
}
