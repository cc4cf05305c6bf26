import { chain, GUEST_LINK_PREFIX, PORT_MAPS, TO_PORT, TO_PORT_AT, portElements } from './firewall.ts';
import type { PortForward } from './firewall.ts';
import { formatIpv4, parseIpv4 } from './subnet.ts';

/*
 * A guest with a kernel of its own shares a network namespace: the host's, or another container's. It cannot be in it, so it is beside it,
 * with the same addresses, and packets are translated on the way between. The way leads through a namespace between the two:
 *
 *     guest   eth0 --- tap0   between   out --- hvm…   shared
 *
 * What the one side has at an address that both have, the other knows by a stand-in: an address of 240.0.0.0/4, which nobody uses. Each
 * link has a block of 256 of them, for what is in its guest; what is in the shared namespace has the same ones for every guest.
 */

/** A guest's link to the network namespace it shares. */
export interface GuestLink {
  containerId: string;
  /** The shared namespace's path; the host's without one. */
  netns?: string;
  /** The first of 256 addresses: `241.8.9.0`. */
  block: string;
  /** Those of the shared namespace, which the guest has, too; that of the default route first. At least one. */
  addresses: string[];
}

/** What waits for others at a port in the guest, at one address or, by `0.0.0.0` or `::`, at all. */
export interface Listener {
  protocol: 'tcp' | 'udp';
  address: string;
  port: number;
}

/** An address or a network that both sides have, and what leads to the other side's. */
export type StandIn = readonly [there: string, standIn: string];

const BLOCK_SIZE = 256;
/** Blocks from 241.0.0.0 up; above 254.255.255.0 are broadcasts. */
const FIRST_BLOCK = parseIpv4('241.0.0.0') / BLOCK_SIZE;
const BLOCKS = parseIpv4('255.0.0.0') / BLOCK_SIZE - FIRST_BLOCK;
const LOOPBACK = '127.0.0.1';
/** Systems' own resolvers are at 127.0.0.53. */
const OUTSIDE_LOOPBACK: StandIn = ['127.0.0.0/16', '240.0.0.0/16'];
const OUTSIDE_LOCALHOST = '240.0.0.1';
const OUTSIDE_ADDRESSES = parseIpv4('240.1.0.0');
const OUTSIDE = '240.0.0.0/15';
/** The guest's kernel looks at each for every connection. */
export const MOST_ADDRESSES = 32;
/** Each is a socket of the engine's. */
const MOST_PORTS = 512;
/** What programs get as source when they ask for none: such a socket of UDP waits for its own answers. */
const FIRST_EPHEMERAL = 32_768;

/** The block that is tried after `attempt` others were in use. */
export function blockOf(containerId: string, attempt: number): string {
  const number = (Number.parseInt(containerId.slice(0, 8), 16) + attempt) % BLOCKS;
  return formatIpv4((FIRST_BLOCK + number) * BLOCK_SIZE);
}

export function linkName({ containerId }: Pick<GuestLink, 'containerId'>): string {
  return `${GUEST_LINK_PREFIX}${containerId.slice(0, 12)}`;
}

/** The link's own addresses, above those that stand in. */
export function linkAddresses({ block }: Pick<GuestLink, 'block'>): {
  gateway: string;
  shared: string;
  between: string;
} {
  const at = (offset: number): string => formatIpv4(parseIpv4(block) + offset);
  return { gateway: at(250), shared: at(253), between: at(254) };
}

/** For a guest whose shared namespace has no address: the one that would stand in for its first. */
export function soleAddress(block: string): string {
  return formatIpv4(parseIpv4(block) + 2);
}

/** Where the shared namespace has what is in the guest: stand-ins are the lower half of the block. */
export function insideStandIns({ block, addresses }: Pick<GuestLink, 'block' | 'addresses'>): StandIn[] {
  return [LOOPBACK, ...addresses].map((address, index) => [
    address,
    formatIpv4(parseIpv4(block) + 1 + index),
  ]);
}

/** Where the guest has what is in the shared namespace. */
export function outsideStandIns({ addresses }: Pick<GuestLink, 'addresses'>): StandIn[] {
  return [OUTSIDE_LOOPBACK, ...outsideAddresses(addresses)];
}

function outsideAddresses(addresses: readonly string[]): StandIn[] {
  return addresses.map((address, index) => [address, formatIpv4(OUTSIDE_ADDRESSES + 1 + index)]);
}

/** Those that the shared namespace can have at its own addresses, each once, at most 512; at all of them is `0.0.0.0`. */
export function sharedListeners(link: GuestLink, listeners: readonly Listener[]): Map<string, Listener> {
  const known = new Set(['0.0.0.0', LOOPBACK, ...link.addresses]);
  const found = new Map<string, Listener>();
  for (const { protocol, port, address: told } of listeners) {
    const address = told === '::' ? '0.0.0.0' : told.replace(/^::ffff:/, '');
    if (found.size === MOST_PORTS) break;
    if (!known.has(address) || (protocol === 'udp' && port >= FIRST_EPHEMERAL)) continue;
    found.set(`${protocol} ${address} ${port}`, { protocol, address, port });
  }
  return found;
}

/** Where a port of the shared namespace leads to. */
export function targetOf(link: GuestLink, { address, port }: Listener): { address: string; port: number } {
  const at = address === '0.0.0.0' ? link.addresses[0] : address;
  const standIn = insideStandIns(link).find(([there]) => there === at);
  return { address: standIn?.[1] ?? '', port };
}

function forwardsOf(link: GuestLink, listeners: readonly Listener[]): PortForward[] {
  const outside = new Map([[LOOPBACK, OUTSIDE_LOCALHOST], ...outsideAddresses(link.addresses)]);
  return listeners.flatMap((listener) => {
    const { protocol, address, port } = listener;
    // Other guests know a single address by its stand-in.
    return [address, outside.get(address)].flatMap((hostIp) =>
      hostIp === undefined
        ? []
        : [
            {
              port: { containerPort: port, hostPort: port, protocol, hostIp },
              address: targetOf(link, listener).address,
            },
          ],
    );
  });
}

/** The rules in the shared namespace: one table for each link, which is put there whole. */
export function sharedTable(table: string, link: GuestLink, listeners: readonly Listener[]): string {
  const { block, addresses } = link;
  const name = `"${linkName(link)}"`;
  const own = `${block}/24`;
  const [primary = ''] = addresses;
  const [loopback, loopbackStandIn] = OUTSIDE_LOOPBACK;
  return [
    `table ip ${table}\ndelete table ip ${table}\ntable ip ${table} {\n`,
    PORT_MAPS,
    // Only what the link is for, whatever the guest sends.
    chain('raw', 'filter hook prerouting priority raw', [
      `iifname ${name} ip saddr != ${own} drop`,
      `iifname ${name} ip daddr 127.0.0.0/8 drop`,
    ]),
    chain('published', 'nat hook prerouting priority dstnat - 10', [
      TO_PORT_AT,
      `ip daddr ${OUTSIDE} ${TO_PORT}`,
      `fib daddr type local ${TO_PORT}`,
    ]),
    chain('outside', 'nat hook prerouting priority dstnat', [
      `iifname ${name} dnat ip prefix to ip daddr map { ${loopbackStandIn} : ${loopback} }`,
      `iifname ${name} dnat ip to ip daddr map { ${pairs(outsideAddresses(addresses))} }`,
    ]),
    chain('output', 'nat hook output priority -110', [TO_PORT_AT, `fib daddr type local ${TO_PORT}`]),
    // As if who asks were in here.
    chain('input', 'nat hook input priority 100', [
      `iifname ${name} ip daddr 127.0.0.0/8 snat ip to ${LOOPBACK}`,
      `iifname ${name} snat ip to ${primary}`,
    ]),
    chain('postrouting', 'nat hook postrouting priority srcnat', [
      `ip saddr ${own} masquerade`,
      // The guest has these addresses itself, and would answer itself.
      `oifname ${name} fib saddr type local masquerade`,
    ]),
    '}\n',
    portElements('add', table, forwardsOf(link, listeners)),
  ].join('');
}

/** The rules in the namespace between. */
export function betweenTable(link: GuestLink): string {
  return [
    // A guest that had its network to itself knows neighbours by their own hardware addresses.
    `table netdev hull\ndelete table netdev hull\ntable netdev hull {\nchain ingress {\ntype filter hook ingress device "${TAP}" priority 0; policy accept\n`,
    'meta pkttype set host\n}\n}\n',
    'table ip hull\ndelete table ip hull\ntable ip hull {\n',
    chain('prerouting', 'nat hook prerouting priority dstnat', [
      `iifname "${OUT}" dnat ip to ip daddr map { ${pairs(insideStandIns(link))} }`,
    ]),
    chain('postrouting', 'nat hook postrouting priority srcnat', [
      `oifname "${OUT}" snat ip to ${linkAddresses(link).between}`,
    ]),
    '}\n',
  ].join('');
}

/** The link's end in the namespace between, and that of the guest's tap interface. */
export const OUT = 'out';
export const TAP = 'tap0';

function pairs(standIns: readonly StandIn[]): string {
  return standIns.map(([there, standIn]) => `${standIn} : ${there}`).join(', ');
}
