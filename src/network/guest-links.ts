import { setTimeout as sleep } from 'node:timers/promises';
import { errnoCode, messageOf, unavailable } from '#/base/errors.ts';
import { shortId } from '#/base/ids.ts';
import type { Logger } from '#/base/log.ts';
import { forgetUdpFlows } from '#/host/conntrack.ts';
import { holdPort } from '#/host/held-port.ts';
import { withNetns } from '#/host/namespaces.ts';
import { NftablesContext } from '#/host/nftables.ts';
import { writeSysctl } from '#/host/sysctl.ts';
import { makeTap } from '#/host/tap.ts';
import type { Endpoint } from './driver.ts';
import {
  type GuestLink,
  linkAddresses,
  type Listener,
  outsideStandIns,
  sharedListeners,
  sharedTable,
  soleAddress,
  type StandIn,
  TAP,
  targetOf,
} from './guest-link.ts';
import {
  freeBlock,
  giveAddress,
  layLink,
  readShared,
  removeEnd,
  runRules,
  type SharedNetwork,
  takeOver,
  within,
} from './guest-link-setup.ts';
import { macOfAddress } from './mac-address.ts';
import type { NetworkOptions } from './network-options.ts';
import { PortAllocator } from './port-allocator.ts';

/** How much longer than the last change of ports took the next one waits. */
const REST = 4;

export interface GuestLinkRequest {
  containerId: string;
  /** Path of the namespace between, which the VM has for its own. */
  between: string;
  /** Path of the shared one; the host's without it. */
  netns?: string;
}

/** What the guest is to have, in the shapes of the runtime's options. */
export interface LinkedNetwork {
  interfaces: { name: string; mac: string; mtu: number; addresses: string[]; tap: string }[];
  routes: { destination: string; gateway: string; link: string }[];
  standIns: StandIn[];
}

/** What is known of a link while its guest runs. */
interface OpenLink {
  link: GuestLink;
  held: Map<string, { listener: Listener; release: () => void }>;
  /** What listens now, where it is not settled yet. */
  wanted: Map<string, Listener> | undefined;
  settling: boolean;
  /** Ports that somebody else has, of which the log has been told. */
  complained: Set<string>;
  closed: boolean;
}

/** The links of guests that share a network namespace with others: guest-link.ts says how. */
export class GuestLinks {
  readonly #options: NetworkOptions;
  readonly #logger: Logger;
  readonly #ports = new PortAllocator();
  readonly #open = new Map<string, OpenLink>();

  constructor(options: NetworkOptions, logger: Logger) {
    this.#options = options;
    this.#logger = logger;
  }

  /** Lays a guest's link. What fails leaves nothing that `close` would not take away. */
  open({ containerId, between, netns }: GuestLinkRequest): { link: GuestLink; network: LinkedNetwork } {
    if (!this.#options.iptables)
      throw unavailable('a microVM shares a network by packet rules, which --iptables=false forbids');
    const shared = readShared(netns);
    const block = freeBlock(containerId, shared.all);
    // Where the others have none it needs one nonetheless.
    const addresses = shared.addresses.length > 0 ? shared.addresses : [soleAddress(block)];
    const link: GuestLink = { containerId, block, addresses, ...(netns === undefined ? {} : { netns }) };
    removeEnd(link);
    try {
      makeTap(between, TAP);
      layLink(link, between, shared.mtu);
      this.#set(link, 'net/ipv4/ip_forward', this.#options.ipForward || netns !== undefined);
      this.#apply(link, []);
    } catch (error) {
      this.close(link);
      throw error;
    }
    this.#add(link);
    return { link, network: linkedNetwork(link, shared) };
  }

  /** The link by which a guest that has its network to itself will share it. */
  linkToShare({ containerId, netns, ipv4 }: Endpoint): GuestLink | undefined {
    if (ipv4 === undefined) return undefined;
    const block = freeBlock(containerId, readShared(netns).all);
    return { containerId, netns, block, addresses: [ipv4.address] };
  }

  /**
   * Makes a network that a guest has to itself, with its interface at a tap beside it, one that others can share: the namespace has the
   * addresses again, and the guest has them by a link as others do. `between` is a namespace for that. Repeatable: also what was cut off.
   */
  share(link: GuestLink, endpoint: Endpoint, between: string, listeners: readonly Listener[]): void {
    if (endpoint.ipv4 === undefined) return;
    removeEnd(link);
    takeOver(link, between, endpoint.interfaceName);
    giveAddress(endpoint.netns, endpoint.interfaceName, endpoint.ipv4);
    layLink(link, between, readShared(link.netns).mtu);
    this.#set(link, 'net/ipv4/ip_forward', true);
    this.#apply(link, []);
    this.#add(link);
    this.publish(link.containerId, listeners);
  }

  /** Whether it was laid to its end. */
  isWhole(link: GuestLink): boolean {
    return runRules(link.netns, 'list tables ip').includes(`table ip ${this.#table(link)}\n`);
  }

  /** What listens in the guest now, all of it. */
  publish(containerId: string, listeners: readonly Listener[]): void {
    const open = this.#open.get(containerId);
    if (open === undefined) return;
    open.wanted = sharedListeners(open.link, listeners);
    if (!open.settling) void this.#settle(open);
  }

  /** Takes a link away; repeatable. */
  close(link: GuestLink): void {
    const open = this.#open.get(link.containerId);
    this.#open.delete(link.containerId);
    if (open !== undefined) {
      open.closed = true;
      for (const { release } of open.held.values()) release();
      this.#forgetFlows(
        link,
        [...open.held.values()].map(({ listener }) => listener),
      );
    }
    try {
      removeEnd(link);
      const table = this.#table(link);
      runRules(link.netns, `table ip ${table}\ndelete table ip ${table}`);
    } catch (error) {
      // The namespace goes with whoever had it.
      if (errnoCode(error) !== 'ENOENT')
        this.#logger.warn('Cannot take a guest’s link away', { error: messageOf(error) });
    }
  }

  /** Those of the guests that run. What others have left on the host goes. */
  restore(links: readonly GuestLink[]): void {
    for (const link of links) this.#add(link);
    if (!this.#options.iptables) return;
    const known = new Set(links.map((link) => this.#table(link)));
    const tables = /^table ip (\S+)$/gm;
    using nft = new NftablesContext();
    for (const [, table = ''] of nft.run('list tables ip').matchAll(tables)) {
      if (table.startsWith(`${this.#options.instance}_vm_`) && !known.has(table))
        nft.run(`delete table ip ${table}`);
    }
  }

  /** Ports are let go; links and rules stay. */
  stop(): void {
    for (const open of this.#open.values()) {
      open.closed = true;
      for (const { release } of open.held.values()) release();
    }
    this.#open.clear();
  }

  #add(link: GuestLink): void {
    this.#open.set(link.containerId, {
      link,
      held: new Map(),
      wanted: undefined,
      settling: false,
      complained: new Set(),
      closed: false,
    });
  }

  #table({ containerId }: GuestLink): string {
    return `${this.#options.instance}_vm_${shortId(containerId)}`;
  }

  #apply(link: GuestLink, listeners: readonly Listener[]): void {
    runRules(link.netns, sharedTable(this.#table(link), link, listeners));
  }

  #set({ netns }: GuestLink, sysctl: string, wanted: boolean): void {
    if (wanted) within(netns, () => writeSysctl(sysctl, '1'));
  }

  /** Until what is held is what was last wanted. */
  async #settle(open: OpenLink): Promise<void> {
    open.settling = true;
    try {
      while (open.wanted !== undefined && !open.closed) {
        const { wanted } = open;
        open.wanted = undefined;
        const began = performance.now();
        const gone = [...open.held].filter(([key]) => !wanted.has(key));
        for (const [key, { release }] of gone) {
          release();
          open.held.delete(key);
        }
        const added = await this.#holdAll(open, wanted);
        if (open.closed) return;
        const listeners = [...open.held.values()].map(({ listener }) => listener);
        this.#apply(open.link, listeners);
        this.#forgetFlows(open.link, [...gone.map(([, { listener }]) => listener), ...added]);
        // A guest that listens elsewhere all the time does not keep the engine busy.
        await sleep(REST * (performance.now() - began), undefined, { ref: false });
      }
    } catch (error) {
      this.#logger.warn('Cannot open the ports of a guest', {
        container: shortId(open.link.containerId),
        error: messageOf(error),
      });
    } finally {
      open.settling = false;
    }
  }

  async #holdAll(open: OpenLink, wanted: ReadonlyMap<string, Listener>): Promise<Listener[]> {
    const added: Listener[] = [];
    for (const [key, listener] of wanted) {
      if (open.held.has(key)) continue;
      try {
        const release = await this.#hold(open.link, listener);
        if (open.closed) {
          release();
          return [];
        }
        open.held.set(key, { listener, release });
        open.complained.delete(key);
        added.push(listener);
      } catch (error) {
        if (open.complained.has(key)) continue;
        open.complained.add(key);
        const fields = { container: shortId(open.link.containerId), error: messageOf(error) };
        this.#logger.warn('A port of a guest is another’s in the network that it shares', fields);
      }
    }
    return added;
  }

  async #hold(link: GuestLink, listener: Listener): Promise<() => void> {
    const { protocol, address, port } = listener;
    if (link.netns !== undefined) {
      const held = withNetns(link.netns, () => holdPort(protocol, address, port));
      return () => held[Symbol.dispose]();
    }
    const anywhere = address === '0.0.0.0';
    const request = {
      containerPort: port,
      hostPort: port,
      protocol,
      ...(anywhere ? {} : { hostIp: address }),
    };
    const lease = await this.#ports.lease(request, targetOf(link, listener));
    return () => lease.release();
  }

  /** Flows of UDP outlive the rules that made them, or that were not there when they began. */
  #forgetFlows(link: GuestLink, listeners: readonly Listener[]): void {
    const ports = listeners.filter(({ protocol }) => protocol === 'udp').map(({ port }) => port);
    if (ports.length === 0) return;
    try {
      within(link.netns, () => forgetUdpFlows(new Set(ports), new Set()));
    } catch (error) {
      this.#logger.debug('Cannot forget UDP flows', { error: messageOf(error) });
    }
  }
}

function linkedNetwork(link: GuestLink, { name, mac, mtu }: SharedNetwork): LinkedNetwork {
  const { gateway } = linkAddresses(link);
  return {
    interfaces: [
      {
        name,
        mac: mac === '' ? macOfAddress(link.block) : mac,
        mtu,
        addresses: link.addresses.map((address) => `${address}/32`),
        tap: TAP,
      },
    ],
    routes: [
      { destination: `${gateway}/32`, gateway: '', link: name },
      { destination: '0.0.0.0/0', gateway, link: name },
    ],
    standIns: outsideStandIns(link),
  };
}
