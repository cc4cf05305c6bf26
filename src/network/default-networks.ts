import { invalid } from '#/base/errors.ts';
import { newId } from '#/base/ids.ts';
import { listAddresses } from '#/host/netlink/addresses.ts';
import { findLink } from '#/host/netlink/links.ts';
import { listRoutes } from '#/host/netlink/routes.ts';
import { NetlinkSocket } from '#/host/netlink/socket.ts';
import {
  BRIDGE_NAME,
  DEFAULT_BRIDGE,
  DRIVER_MTU,
  ENABLE_ICC,
  ENABLE_MASQUERADE,
  HOST_BINDING,
} from './bridge-driver.ts';
import type { NetworkRecord, SubnetConfig } from './driver.ts';
import type { NetworkOptions } from './network-options.ts';
import { type Subnet, addressOf, chooseSubnet, formatIpv4, parseCidr, subnetOf } from './subnet.ts';

export const PREDEFINED = ['bridge', 'host', 'none'] as const;

/**
 * The record of a network that every daemon has. `previous` is what it was before the restart: its id and time stay,
 * and so does a subnet that was chosen then, as long as no flag asks for another.
 */
export function predefinedNetwork(
  name: (typeof PREDEFINED)[number],
  options: NetworkOptions,
  previous: NetworkRecord | undefined,
): NetworkRecord {
  return {
    id: previous?.id ?? newId(),
    name,
    driver: name === 'none' ? 'null' : name,
    created: previous?.created ?? new Date().toISOString(),
    internal: false,
    attachable: false,
    enableIPv6: false,
    ipam: {
      driver: 'default',
      options: {},
      config: name === 'bridge' ? [bridgeSubnet(options, previous?.ipam.config[0])] : [],
    },
    options: name === 'bridge' ? bridgeOptions(options) : {},
    labels: {},
  };
}

function bridgeOptions(options: NetworkOptions): Record<string, string> {
  return {
    [DEFAULT_BRIDGE]: 'true',
    [ENABLE_ICC]: String(options.icc),
    [ENABLE_MASQUERADE]: String(options.ipMasq),
    [HOST_BINDING]: options.hostIp,
    [BRIDGE_NAME]: options.bridge ?? `${options.instance}0`,
    [DRIVER_MTU]: String(options.mtu),
  };
}

function bridgeSubnet(options: NetworkOptions, previous: SubnetConfig | undefined): SubnetConfig {
  const range = options.fixedCidr === undefined ? {} : { ipRange: options.fixedCidr };
  const given = options.bip ?? addressOfExistingBridge(options);
  if (given !== undefined) {
    const { address, subnet } = parseCidr(given);
    return { subnet: subnet.text, ...range, gateway: options.defaultGateway ?? address };
  }
  if (previous !== undefined) return { ...previous, ...range };
  const subnet = chooseSubnet(options.defaultAddressPools, takenSubnets());
  return { subnet: subnet.text, ...range, gateway: formatIpv4(addressOf(subnet, 1)) };
}

/** `--bridge`: the link's own address is the gateway. */
function addressOfExistingBridge({ bridge }: NetworkOptions): string | undefined {
  if (bridge === undefined) return undefined;
  using socket = new NetlinkSocket();
  const link = findLink(socket, bridge);
  const address = link && listAddresses(socket, link.index).find(({ address }) => !address.includes(':'));
  if (address === undefined)
    throw invalid(`Cannot use bridge "${bridge}": there is no such link with an IPv4 address`);
  return `${address.address}/${address.prefixLength}`;
}

/** What the host has addresses in or routes to, other than everything. */
function takenSubnets(): Subnet[] {
  using socket = new NetlinkSocket();
  const routes = listRoutes(socket).map(({ destination, prefixLength }) => ({
    address: destination,
    prefixLength,
  }));
  return [...routes, ...listAddresses(socket)]
    .filter(({ address, prefixLength }) => !address.includes(':') && prefixLength > 0)
    .map(({ address, prefixLength }) => subnetOf(address, prefixLength));
}
