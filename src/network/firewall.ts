import { isIPv4 } from 'node:net';
import { NftablesContext } from '#/host/nftables.ts';

import type { PublishedPort } from './driver.ts';

/** What the packet rules have to know of one bridge. */
export interface BridgeRules {
  bridge: string;
  /** CIDR. */
  subnet: string;
  /** Containers on it may talk to each other. */
  icc: boolean;
  /** What leaves by other links carries the host's address. */
  masquerade: boolean;
}

/** What the links of guests that share the host's network begin with. */
export const GUEST_LINK_PREFIX = 'hvm';

/** A published port and the container that serves it. */
export interface PortForward {
  port: PublishedPort;
  address: string;
}

/**
 * Hull's packet rules: one table of its own, per daemon, so that nobody else's rules are touched and deleting the table
 * leaves nothing. Ports are elements of two maps, of which the kernel looks one up per new connection, however many
 * there are.
 *
 * Rules of others hold beside these: a packet that another table drops is dropped. See `forwardBlockedBy`.
 */
export class Firewall {
  readonly #table: string;
  #nft: NftablesContext | undefined;

  /** `table` is the table's name, different for each daemon of a host. */
  constructor(table: string) {
    this.#table = table;
  }

  /** Puts the whole table as it must be, in one transaction: forwarding goes on meanwhile. */
  apply(bridges: readonly BridgeRules[], forwards: readonly PortForward[]): void {
    this.#run(
      `table ip ${this.#table}\ndelete table ip ${this.#table}\n${tableText(this.#table, bridges)}${portElements('add', this.#table, forwards)}`,
    );
  }

  addPorts(forwards: readonly PortForward[]): void {
    const script = portElements('add', this.#table, forwards);
    if (script !== '') this.#run(script);
  }

  /** What is not there any more, because somebody flushed the rules, is no error. */
  removePorts(forwards: readonly PortForward[]): void {
    const script = portElements('delete', this.#table, forwards);
    if (script === '') return;
    try {
      this.#run(script);
    } catch {
      for (const forward of forwards) {
        try {
          this.#run(portElements('delete', this.#table, [forward]));
        } catch {
          // This one is what was missing.
        }
      }
    }
  }

  remove(): void {
    this.#run(`table ip ${this.#table}\ndelete table ip ${this.#table}`);
  }

  /**
   * A chain that drops forwarded packets which no rule there lets through, as dockerd and some firewalls set up: its
   * name, and what its owner's users may do about it. Nothing can be done about it from a table of one's own.
   */
  forwardBlockedBy(): { chain: string; dockerUser: boolean } | undefined {
    const list = (chain: string): string => {
      try {
        return this.#run(`list chain ip filter ${chain}`);
      } catch {
        return '';
      }
    };
    if (!/hook forward .*policy drop/.test(list('FORWARD'))) return undefined;
    return { chain: 'ip filter FORWARD', dockerUser: list('DOCKER-USER') !== '' };
  }

  #run(script: string): string {
    this.#nft ??= new NftablesContext();
    return this.#nft.run(script);
  }
}

/** Elements of the maps of PORT_MAPS, as a script. */
export function portElements(
  verb: 'add' | 'delete',
  table: string,
  forwards: readonly PortForward[],
): string {
  const everywhere: string[] = [];
  const somewhere: string[] = [];
  for (const { port, address } of forwards) {
    // Over IPv6 the relay serves: see port-relay.ts.
    if (!isIPv4(port.hostIp)) continue;
    const key = `${port.protocol} . ${port.hostPort}`;
    const value = verb === 'add' ? ` : ${address} . ${port.containerPort}` : '';
    if (port.hostIp === '0.0.0.0') everywhere.push(`${key}${value}`);
    else somewhere.push(`${port.hostIp} . ${key}${value}`);
  }
  const statement = (map: string, elements: string[]): string =>
    elements.length === 0 ? '' : `${verb} element ip ${table} ${map} { ${elements.join(', ')} }\n`;
  return statement('ports', everywhere) + statement('ports_at', somewhere);
}

/** Where published ports lead: on all of the host's addresses, and on one of them. */
export const PORT_MAPS =
  'map ports {\ntype inet_proto . inet_service : ipv4_addr . inet_service\n}\n' +
  'map ports_at {\ntype ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service\n}\n';
export const TO_PORT = 'dnat ip to meta l4proto . th dport map @ports';
export const TO_PORT_AT = 'dnat ip to ip daddr . meta l4proto . th dport map @ports_at';

export function chain(name: string, hook: string, rules: readonly string[]): string {
  return `chain ${name} {\ntype ${hook}; policy accept\n${rules.join('\n')}\n}\n`;
}

/** Exported for its test: the text is the design of the rules. */
export function tableText(table: string, bridges: readonly BridgeRules[]): string {
  const forward: string[] = [];
  const postrouting: string[] = [];
  for (const { bridge, subnet, icc, masquerade } of bridges) {
    forward.push(`oifname "${bridge}" ct state established,related accept`);
    forward.push(`oifname "${bridge}" ct status dnat accept`);
    // A guest that has the host's network reaches what the host reaches.
    forward.push(`iifname "${GUEST_LINK_PREFIX}*" oifname "${bridge}" accept`);
    if (icc) forward.push(`iifname "${bridge}" oifname "${bridge}" accept`);
    // Nobody outside reaches what is not published, not even by a route to the containers' addresses.
    forward.push(`oifname "${bridge}" drop`);
    if (masquerade) {
      // To the host itself a container has its own address, and so to a guest that has the host's.
      postrouting.push(
        `ip saddr ${subnet} oifname != "${bridge}" oifname != "${GUEST_LINK_PREFIX}*" masquerade`,
      );
    }
    // A container that asks for a published port of the host must get the answer from the host, not straight from the
    // other container; and one that is asked from the host's loopback must have an address it can answer to.
    postrouting.push(`ip saddr ${subnet} oifname "${bridge}" ct status dnat masquerade`);
    postrouting.push(`ip saddr 127.0.0.0/8 oifname "${bridge}" masquerade`);
  }
  const toContainer = [TO_PORT_AT, `fib daddr type local ${TO_PORT}`];
  return [
    `table ip ${table} {\n`,
    PORT_MAPS,
    // `route_localnet` of the bridge, which loopback's ports need, and forwarding before routing would let neighbours
    // reach 127.0.0.1 from outside (CVE-2020-8558): such packets end before anything else sees them.
    chain('raw', 'filter hook prerouting priority raw', ['iifname != "lo" ip daddr 127.0.0.0/8 drop']),
    chain('prerouting', 'nat hook prerouting priority dstnat', toContainer),
    chain('output', 'nat hook output priority -100', toContainer),
    chain('forward', 'filter hook forward priority filter', forward),
    chain('postrouting', 'nat hook postrouting priority srcnat', postrouting),
    '}\n',
  ].join('');
}
