import { errnoCode, internal, invalid, messageOf } from '#/base/errors.ts';
import { newId } from '#/base/ids.ts';
import type { Logger } from '#/base/log.ts';
import { forgetUdpFlows } from '#/host/conntrack.ts';
import { withNetns } from '#/host/namespaces.ts';
import { addAddress, addAddressRequest, listAddresses, removeAddress } from '#/host/netlink/addresses.ts';
import {
  addBridge,
  addVethPair,
  findLink,
  listLinks,
  removeLink,
  setBridgePort,
  setLink,
  setLinkRequest,
} from '#/host/netlink/links.ts';
import { addRouteRequest } from '#/host/netlink/routes.ts';
import { NetlinkSocket } from '#/host/netlink/socket.ts';
import { writeSysctl } from '#/host/sysctl.ts';
import type {
  Endpoint,
  EndpointRequest,
  NetworkDriver,
  NetworkRecord,
  PortRequest,
  PreparedEndpoint,
} from './driver.ts';
import { type BridgeRules, Firewall, type PortForward } from './firewall.ts';
import type { NetworkOptions } from './network-options.ts';
import { PortAllocator, type PortLease } from './port-allocator.ts';
import { parseCidr } from './subnet.ts';

export const BRIDGE_NAME = 'com.docker.network.bridge.name';
export const ENABLE_ICC = 'com.docker.network.bridge.enable_icc';
export const ENABLE_MASQUERADE = 'com.docker.network.bridge.enable_ip_masquerade';
export const HOST_BINDING = 'com.docker.network.bridge.host_binding_ipv4';
export const DEFAULT_BRIDGE = 'com.docker.network.bridge.default_bridge';
export const DRIVER_MTU = 'com.docker.network.driver.mtu';

/** The host's end of an endpoint's pair: found again from the endpoint alone, and within the kernel's 15 characters. */
export function vethName(endpointId: string): string {
  return `veth${endpointId.slice(0, 11)}`;
}

/** Networks that are Linux bridges, with addresses of their own, masqueraded outgoing and published ports by nftables. */
export class BridgeDriver implements NetworkDriver {
  readonly name = 'bridge';
  readonly #options: NetworkOptions;
  readonly #logger: Logger;
  readonly #firewall: Firewall;
  readonly #ports = new PortAllocator();
  readonly #leases = new Map<string, PortLease[]>();
  readonly #networks = new Map<string, NetworkRecord>();
  /** By endpoint id. */
  readonly #forwards = new Map<string, PortForward[]>();
  #socket: NetlinkSocket | undefined;

  constructor(options: NetworkOptions, logger: Logger) {
    this.#options = options;
    this.#logger = logger;
    this.#firewall = new Firewall(options.instance);
  }

  async createNetwork(network: NetworkRecord): Promise<void> {
    this.#bringUpBridge(network);
    this.#networks.set(network.id, network);
    this.#applyRules();
  }

  async removeNetwork(network: NetworkRecord): Promise<void> {
    this.#networks.delete(network.id);
    this.#applyRules();
    const link = findLink(this.#netlink(), bridgeOf(network));
    if (link !== undefined && this.#isOurs(network)) removeLink(this.#netlink(), link.index);
  }

  prepare(network: NetworkRecord, netns: string): PreparedEndpoint {
    return this.#addPair(network, { endpointId: newId(), netns });
  }

  async attach(network: NetworkRecord, request: EndpointRequest): Promise<Endpoint> {
    const { subnet, gateway } = ipv4Of(network);
    const interfaceName = this.#join(network, request, subnet.prefixLength, gateway);
    const endpoint: Endpoint = {
      endpointId: request.endpointId,
      networkId: network.id,
      containerId: request.containerId,
      netns: request.netns,
      interfaceName,
      macAddress: request.macAddress,
      ipv4: {
        address: request.ipv4Address,
        prefixLength: subnet.prefixLength,
        ...(gateway === undefined ? {} : { gateway }),
      },
      ports: [],
    };
    try {
      endpoint.ports = await this.#publish(network, request.endpointId, request.ipv4Address, request.ports);
      return endpoint;
    } catch (error) {
      await this.detach(network, endpoint);
      const who = `${request.containerName} (${request.endpointId})`;
      throw internal(
        `driver failed programming external connectivity on endpoint ${who}: ${messageOf(error)}`,
        {
          cause: error,
        },
      );
    }
  }

  async detach(_network: NetworkRecord, endpoint: Endpoint): Promise<void> {
    this.#unpublish(endpoint.endpointId);
    this.#takeOffBridge(vethName(endpoint.endpointId));
  }

  async restore(network: NetworkRecord, endpoints: readonly Endpoint[]): Promise<void> {
    this.#bringUpBridge(network);
    this.#networks.set(network.id, network);
    const bridge = findLink(this.#netlink(), bridgeOf(network));
    const wanted = new Map(endpoints.map((endpoint) => [vethName(endpoint.endpointId), endpoint]));
    const links = new Map(listLinks(this.#netlink()).map((link) => [link.name, link]));
    for (const link of links.values()) {
      const left = link.master === bridge?.index && link.kind === 'veth' && link.name.startsWith('veth');
      if (left && !wanted.has(link.name) && this.#isOurs(network)) this.#takeOffBridge(link.index);
    }
    for (const [name, endpoint] of wanted) {
      const link = links.get(name);
      try {
        if (link === undefined) this.#rejoin(network, endpoint);
        else if (link.master !== bridge?.index || !link.up) {
          setLink(this.#netlink(), link.index, { master: bridge?.index ?? 0, up: true });
        }
        await this.#republish(network, endpoint);
      } catch (error) {
        const fields = { container: endpoint.containerId, error: String(error) };
        this.#logger.error('Cannot restore a container’s network', fields);
      }
    }
    this.#applyRules();
    this.#warnOfBlockedForwarding();
  }

  /** Removes the packet rules and lets go of all ports; links stay. */
  close(o: { removeRules: boolean }): void {
    for (const leases of this.#leases.values()) for (const lease of leases) lease.release();
    this.#leases.clear();
    if (o.removeRules && this.#options.iptables) this.#firewall.remove();
    this.#socket?.[Symbol.dispose]();
    this.#socket = undefined;
  }

  #netlink(): NetlinkSocket {
    this.#socket ??= new NetlinkSocket();
    return this.#socket;
  }

  /**
   * Deleting the link would wait some 20 ms for a grace period of the kernel. Off the bridge, nothing knows it any more; it goes with
   * its other end, when the namespace goes that has it: now, maybe.
   */
  #takeOffBridge(link: number | string): void {
    try {
      setLink(this.#netlink(), link, { master: 0 });
    } catch (error) {
      if (errnoCode(error) !== 'ENODEV') throw error;
    }
  }

  /** A bridge that was there before us (`--bridge`) keeps its addresses, and stays when the network goes. */
  #isOurs(network: NetworkRecord): boolean {
    return bridgeOf(network) !== this.#options.bridge;
  }

  #bringUpBridge(network: NetworkRecord): void {
    const socket = this.#netlink();
    const name = bridgeOf(network);
    let link = findLink(socket, name);
    if (!this.#isOurs(network)) {
      if (link === undefined)
        throw invalid(`bridge device with non default name ${name} must be created manually`);
    } else {
      const { subnet, gateway } = ipv4Of(network);
      // Left to itself a bridge takes the lowest address of its ports: containers would lose their gateway whenever that
      // port goes.
      const mac = `02:42:${network.id.slice(0, 8).replaceAll(/(..)(?!$)/g, '$1:')}`;
      if (link === undefined) {
        addBridge(socket, {
          name,
          up: true,
          mac,
          mtu: Number(network.options[DRIVER_MTU] ?? this.#options.mtu),
        });
        link = findLink(socket, name);
      } else if (!link.up || link.mac !== mac) {
        setLink(socket, link.index, { up: true, mac });
      }
      const index = link?.index ?? 0;
      for (const { address, prefixLength, scope } of listAddresses(socket, index)) {
        const stale = address !== gateway || prefixLength !== subnet.prefixLength;
        if (scope === 'global' && !address.includes(':') && stale)
          removeAddress(socket, index, address, prefixLength);
      }
      if (gateway !== undefined) addAddress(socket, index, gateway, subnet.prefixLength);
    }
    this.#set('net/ipv4/ip_forward', this.#options.ipForward);
    // Published ports answer on 127.0.0.1: such packets leave by the bridge. What comes in so is dropped (firewall.ts).
    this.#set(`net/ipv4/conf/${name}/route_localnet`, this.#options.iptables);
  }

  #set(sysctl: string, wanted: boolean): void {
    if (!wanted) return;
    try {
      writeSysctl(sysctl, '1');
    } catch (error) {
      this.#logger.warn(`Cannot set ${sysctl.replaceAll('/', '.')}`, { error: String(error) });
    }
  }

  /** The container's interface, ready to use; gives its name. */
  #join(
    network: NetworkRecord,
    request: EndpointRequest,
    prefixLength: number,
    gateway: string | undefined,
  ): string {
    const { interfaceName, index } = this.#stillPrepared(network, request) ?? this.#addPair(network, request);
    try {
      using inside = new NetlinkSocket(request.netns);
      const requests = [
        setLinkRequest(index, { mac: request.macAddress, up: true }),
        addAddressRequest(index, request.ipv4Address, prefixLength),
      ];
      if (gateway !== undefined && !network.internal) {
        requests.push(addRouteRequest({ destination: '0.0.0.0', prefixLength: 0, gateway, link: index }));
      }
      inside.run(...requests);
      return interfaceName;
    } catch (error) {
      this.#removePair(request.endpointId);
      throw error;
    }
  }

  /** What was prepared, unless somebody has deleted it meanwhile; back on its bridge, if that was made anew. */
  #stillPrepared(network: NetworkRecord, { prepared }: EndpointRequest): PreparedEndpoint | undefined {
    const near = prepared && findLink(this.#netlink(), vethName(prepared.endpointId));
    if (near === undefined) return undefined;
    const master = this.#bridgeIndex(network);
    if (near.master !== master) setLink(this.#netlink(), near.index, { master });
    return prepared;
  }

  /** Adds the pair, the far end down and without an address, under the first `ethN` that is free inside. */
  #addPair(
    network: NetworkRecord,
    request: Pick<EndpointRequest, 'endpointId' | 'netns' | 'interfaceName'>,
  ): PreparedEndpoint {
    const { endpointId, netns, interfaceName: wanted } = request;
    const mtu = Number(network.options[DRIVER_MTU] ?? this.#options.mtu);
    const near = { name: vethName(endpointId), master: this.#bridgeIndex(network), up: true, mtu };
    for (let number = 0; ; number++) {
      const interfaceName = wanted ?? `eth${number}`;
      try {
        addVethPair(this.#netlink(), near, { netns, mtu, name: interfaceName });
      } catch (error) {
        if (errnoCode(error) !== 'EEXIST' || wanted !== undefined || number === 64) throw error;
        continue;
      }
      try {
        const index = this.#configure(network, netns, interfaceName);
        return { endpointId, networkId: network.id, interfaceName, index };
      } catch (error) {
        this.#removePair(endpointId);
        throw error;
      }
    }
  }

  /** What the far end's settings are, whatever its address; gives its index. */
  #configure(network: NetworkRecord, netns: string, interfaceName: string): number {
    if (!network.enableIPv6) {
      // As Docker does it: no link-local address that programs would take for IPv6 connectivity.
      withNetns(netns, () => writeSysctl(`net/ipv6/conf/${interfaceName}/disable_ipv6`, '1'));
    }
    using inside = new NetlinkSocket(netns);
    return findLink(inside, interfaceName)?.index ?? 0;
  }

  #removePair(endpointId: string): void {
    const link = findLink(this.#netlink(), vethName(endpointId));
    if (link !== undefined) removeLink(this.#netlink(), link.index);
  }

  #bridgeIndex(network: NetworkRecord): number {
    const bridge = findLink(this.#netlink(), bridgeOf(network));
    if (bridge === undefined) throw invalid(`Cannot join network "${network.name}": its bridge is gone`);
    return bridge.index;
  }

  /** Somebody deleted the pair of a running container. */
  #rejoin(network: NetworkRecord, endpoint: Endpoint): void {
    if (endpoint.ipv4 === undefined) return;
    const { address, prefixLength, gateway } = endpoint.ipv4;
    this.#join(network, { ...endpoint, containerName: '', ipv4Address: address }, prefixLength, gateway);
  }

  async #publish(
    network: NetworkRecord,
    endpointId: string,
    address: string,
    requests: readonly PortRequest[],
  ): Promise<Endpoint['ports']> {
    if (requests.length === 0) return [];
    const leases: PortLease[] = [];
    this.#leases.set(endpointId, leases);
    const defaultIp = network.options[HOST_BINDING] ?? this.#options.hostIp;
    for (const request of requests) {
      leases.push(await this.#ports.lease(request, { address, port: request.containerPort }, defaultIp));
    }
    this.#allowHairpin(endpointId);
    const forwards = leases.flatMap(({ published }) => published.map((port) => ({ port, address })));
    if (this.#options.iptables) this.#firewall.addPorts(forwards);
    this.#forwards.set(endpointId, forwards);
    this.#forgetFlows(forwards);
    return forwards.map(({ port }) => port);
  }

  /**
   * A container that asks for its own published port: where bridged packets pass the rules for routed ones (a dockerd
   * switches that on), its frame is turned round within the bridge, and must leave by the port it came in by.
   */
  #allowHairpin(endpointId: string): void {
    const link = findLink(this.#netlink(), vethName(endpointId));
    if (link !== undefined) setBridgePort(this.#netlink(), link.index, { hairpin: true });
  }

  #unpublish(endpointId: string): void {
    const forwards = this.#forwards.get(endpointId) ?? [];
    this.#forwards.delete(endpointId);
    if (this.#options.iptables) this.#firewall.removePorts(forwards);
    for (const lease of this.#leases.get(endpointId) ?? []) lease.release();
    this.#leases.delete(endpointId);
    this.#forgetFlows(forwards);
  }

  /** After a restart: the same ports for the same container, whether or not another program has taken one meanwhile. */
  async #republish(network: NetworkRecord, endpoint: Endpoint): Promise<void> {
    const address = endpoint.ipv4?.address;
    if (address === undefined || endpoint.ports.length === 0) return;
    const forwards = endpoint.ports.map((port) => ({ port, address }));
    this.#forwards.set(endpoint.endpointId, forwards);
    this.#allowHairpin(endpoint.endpointId);
    if (this.#leases.has(endpoint.endpointId)) return;
    const leases: PortLease[] = [];
    this.#leases.set(endpoint.endpointId, leases);
    const both = (port: Endpoint['ports'][number]): boolean =>
      endpoint.ports.some((other) => other.hostIp === '::' && sameButAddress(other, port));
    for (const port of endpoint.ports) {
      // One socket holds both of the addresses that a binding without an address has.
      const pair = port.hostIp === '0.0.0.0' && both(port);
      const implied =
        port.hostIp === '::' && endpoint.ports.some((o) => o.hostIp === '0.0.0.0' && sameButAddress(o, port));
      if (implied) continue;
      const { hostIp, ...anywhere } = port;
      const target = { address, port: port.containerPort };
      try {
        leases.push(await this.#ports.lease(pair ? anywhere : port, target, pair ? '0.0.0.0' : hostIp));
      } catch (error) {
        this.#logger.warn('Cannot hold a published port', { network: network.name, error: String(error) });
      }
    }
  }

  /** Flows of UDP outlive the rules that made them; connections of TCP end with their container. */
  #forgetFlows(forwards: readonly PortForward[]): void {
    const udp = forwards.filter(({ port }) => port.protocol === 'udp');
    if (udp.length === 0 || !this.#options.iptables) return;
    try {
      forgetUdpFlows(
        new Set(udp.map(({ port }) => port.hostPort)),
        new Set(udp.map(({ address }) => address)),
      );
    } catch (error) {
      this.#logger.debug('Cannot forget UDP flows', { error: String(error) });
    }
  }

  #applyRules(): void {
    if (!this.#options.iptables) return;
    const bridges: BridgeRules[] = [...this.#networks.values()].map((network) => ({
      bridge: bridgeOf(network),
      subnet: ipv4Of(network).subnet.text,
      icc: network.options[ENABLE_ICC] !== 'false',
      masquerade: network.options[ENABLE_MASQUERADE] !== 'false' && !network.internal,
    }));
    this.#firewall.apply(bridges, [...this.#forwards.values()].flat());
  }

  #warnOfBlockedForwarding(): void {
    if (!this.#options.iptables) return;
    const blocked = this.#firewall.forwardBlockedBy();
    if (blocked === undefined) return;
    const bridges = [...this.#networks.values()].map(bridgeOf).join(', ');
    const advice = blocked.dockerUser
      ? '"iptables -I DOCKER-USER -i BRIDGE -j ACCEPT" and the same with "-o BRIDGE" let it through'
      : 'let its owner accept what comes from and goes to BRIDGE';
    this.#logger.warn(
      `The chain "${blocked.chain}" of another program drops what containers forward: ${advice}`,
      { bridges },
    );
  }
}

function sameButAddress(a: Endpoint['ports'][number], b: Endpoint['ports'][number]): boolean {
  return a.containerPort === b.containerPort && a.hostPort === b.hostPort && a.protocol === b.protocol;
}

export function bridgeOf(network: NetworkRecord): string {
  return network.options[BRIDGE_NAME] ?? `br-${network.id.slice(0, 12)}`;
}

export function ipv4Of(network: NetworkRecord): {
  subnet: ReturnType<typeof parseCidr>['subnet'];
  gateway?: string;
} {
  const config = network.ipam.config.find(({ subnet }) => !subnet.includes(':'));
  if (config === undefined) throw invalid(`network "${network.name}" has no IPv4 subnet`);
  const { subnet } = parseCidr(config.subnet);
  return { subnet, ...(config.gateway === undefined ? {} : { gateway: config.gateway }) };
}
