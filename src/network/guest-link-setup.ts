import { errnoCode } from '#/base/errors.ts';
import { withNetns } from '#/host/namespaces.ts';
import { addAddress, listAddresses, removeAddress } from '#/host/netlink/addresses.ts';
import { addVethPair, findLink, listLinks, removeLink, setLink } from '#/host/netlink/links.ts';
import { addRoute, listRoutes } from '#/host/netlink/routes.ts';
import { NetlinkSocket } from '#/host/netlink/socket.ts';
import { stopRedirectRequest } from '#/host/netlink/traffic-control.ts';
import { NftablesContext } from '#/host/nftables.ts';
import { readSysctl, writeSysctl } from '#/host/sysctl.ts';
import type { Endpoint } from './driver.ts';
import { GUEST_LINK_PREFIX } from './firewall.ts';
import {
  betweenTable,
  blockOf,
  type GuestLink,
  linkAddresses,
  linkName,
  MOST_ADDRESSES,
  OUT,
  TAP,
} from './guest-link.ts';

/** What the guest is to look like. */
export interface SharedNetwork {
  name: string;
  mac: string;
  mtu: number;
  addresses: string[];
  /** With those of other guests' links. */
  all: Set<string>;
}

const DEFAULT_MTU = 1500;

export function readShared(netns: string | undefined): SharedNetwork {
  using socket = new NetlinkSocket(netns);
  const links = listLinks(socket).filter(({ name }) => !name.startsWith(GUEST_LINK_PREFIX));
  const usable = new Set(links.map(({ index }) => index));
  const everything = listAddresses(socket).filter(({ address }) => !address.includes(':'));
  const found = everything.filter(({ link, scope }) => scope === 'global' && usable.has(link));
  const routes = listRoutes(socket).filter(
    (route) => isDefault(route) && found.some(({ link }) => link === route.link),
  );
  const main = links.find(({ index }) => index === (routes[0]?.link ?? found[0]?.link));
  const ordered = [
    ...found.filter(({ link }) => link === main?.index),
    ...found.filter(({ link }) => link !== main?.index),
  ].map(({ address }) => address);
  return {
    name: main === undefined || main.name === 'lo' ? 'eth0' : main.name,
    mac: /[1-9a-f]/.test(main?.mac ?? '') ? (main?.mac ?? '') : '',
    mtu: main?.mtu ?? DEFAULT_MTU,
    addresses: [...new Set(ordered)].slice(0, MOST_ADDRESSES),
    all: new Set(everything.map(({ address }) => address)),
  };
}

function isDefault({ destination, prefixLength }: { destination: string; prefixLength: number }): boolean {
  return destination === '0.0.0.0' && prefixLength === 0;
}

export function freeBlock(containerId: string, taken: ReadonlySet<string>): string {
  for (let attempt = 0; ; attempt++) {
    const block = blockOf(containerId, attempt);
    if (!taken.has(linkAddresses({ block }).shared)) return block;
  }
}

/** The tap interface of a guest that had the network to itself goes between, and nothing is handed to it any more. */
export function takeOver({ netns }: GuestLink, between: string, interfaceName: string): void {
  using socket = new NetlinkSocket(netns);
  try {
    socket.run(stopRedirectRequest(indexOf(socket, interfaceName)));
  } catch (error) {
    // It was stopped before.
    if (errnoCode(error) !== 'ENOENT' && errnoCode(error) !== 'EINVAL') throw error;
  }
  const tap = findLink(socket, TAP);
  if (tap !== undefined) setLink(socket, tap.index, { netns: between });
}

export function giveAddress(
  netns: string,
  interfaceName: string,
  { address, prefixLength, gateway }: NonNullable<Endpoint['ipv4']>,
): void {
  using socket = new NetlinkSocket(netns);
  const link = indexOf(socket, interfaceName);
  addAddress(socket, link, address, prefixLength);
  if (gateway !== undefined) addRoute(socket, { destination: '0.0.0.0', prefixLength: 0, gateway, link });
}

/** Both ends, with the guest's tap interface in the namespace between already. */
export function layLink(link: GuestLink, between: string, mtu: number): void {
  const name = linkName(link);
  using shared = new NetlinkSocket(link.netns);
  addVethPair(shared, { name, up: true, mtu }, { name: OUT, netns: between, mtu });
  layBetween(link, between, mtu);
  const own = linkAddresses(link);
  const index = indexOf(shared, name);
  within(link.netns, () => {
    silence(name);
    writeSysctl(`net/ipv4/conf/${name}/route_localnet`, '1');
  });
  addAddress(shared, index, own.shared, 30);
  addRoute(shared, { destination: link.block, prefixLength: 25, gateway: own.between, link: index });
}

function layBetween(link: GuestLink, between: string, mtu: number): void {
  const own = linkAddresses(link);
  withNetns(between, setBetween);
  using socket = new NetlinkSocket(between);
  const lo = indexOf(socket, 'lo');
  // The guest's 127.0.0.1 is meant in here.
  setLink(socket, lo, { up: false });
  for (const { address, prefixLength } of listAddresses(socket, lo))
    removeAddress(socket, lo, address, prefixLength);
  const out = indexOf(socket, OUT);
  const tap = indexOf(socket, TAP);
  setLink(socket, out, { up: true });
  setLink(socket, tap, { up: true, mtu });
  addAddress(socket, out, own.between, 30);
  addAddress(socket, tap, own.gateway, 32);
  const [primary = ''] = link.addresses;
  for (const address of link.addresses)
    addRoute(socket, { destination: address, prefixLength: 32, link: tap });
  addRoute(socket, { destination: '127.0.0.0', prefixLength: 8, gateway: primary, link: tap });
  addRoute(socket, { destination: '0.0.0.0', prefixLength: 0, gateway: own.shared, link: out });
  runRules(between, betweenTable(link));
}

function setBetween(): void {
  for (const each of [OUT, TAP]) silence(each);
  for (const each of ['all', OUT, TAP]) writeSysctl(`net/ipv4/conf/${each}/rp_filter`, '0');
  writeSysctl('net/ipv4/conf/all/route_localnet', '1');
  writeSysctl(`net/ipv4/conf/${TAP}/accept_local`, '1');
  writeSysctl('net/ipv4/ip_forward', '1');
  // For neighbours of whom the guest knows more than a gateway.
  writeSysctl(`net/ipv4/conf/${TAP}/proxy_arp`, '1');
  writeSysctl(`net/ipv4/neigh/${TAP}/proxy_delay`, '0');
}

/** The end in the shared namespace, and with it the other one, of this run or of the one before. */
export function removeEnd(link: GuestLink): void {
  using socket = new NetlinkSocket(link.netns);
  const end = findLink(socket, linkName(link));
  if (end !== undefined) removeLink(socket, end.index);
}

function indexOf(socket: NetlinkSocket, name: string): number {
  return findLink(socket, name)?.index ?? 0;
}

/** Absent from a kernel without IPv6. */
function silence(name: string): void {
  const setting = `net/ipv6/conf/${name}/disable_ipv6`;
  if (readSysctl(setting) !== undefined) writeSysctl(setting, '1');
}

export function runRules(netns: string | undefined, script: string): string {
  return within(netns, () => {
    using nft = new NftablesContext();
    return nft.run(script);
  });
}

export function within<T>(netns: string | undefined, run: () => T): T {
  return netns === undefined ? run() : withNetns(netns, run);
}
