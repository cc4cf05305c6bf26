import { readFileSync } from 'node:fs';
import { forbidden, internal, invalid, isKind, notFound, notImplemented } from '#/base/errors.ts';
import {
  type Filters,
  hasFilter,
  matchesExactly,
  matchesLabels,
  matchesPattern,
  matchesPrefix,
} from '#/base/filters.ts';
import { newId } from '#/base/ids.ts';
import type { Logger } from '#/base/log.ts';
import { SpareNetns } from '#/host/namespaces.ts';
import type { Database } from '#/state/database.ts';
import type { EventLog } from '#/state/events.ts';
import { PruneTurn } from '#/state/prune-turn.ts';
import type { EndpointSettings, NetworkInspect, NetworkSummary } from '#/wire/generated.ts';
import { AddressPool } from './address-pool.ts';
import { BridgeDriver, ipv4Of } from './bridge-driver.ts';
import { PREDEFINED, predefinedNetwork } from './default-networks.ts';
import type { Endpoint, NetworkRecord, PortRequest, PreparedEndpoint } from './driver.ts';
import type { GuestLink } from './guest-link.ts';
import { GuestLinks } from './guest-links.ts';
import { interfaceNameOf } from './endpoint-options.ts';
import { macOfAddress, parseMac } from './mac-address.ts';
import { type NetworkOptions, networkOptions } from './network-options.ts';
import { NetworkRecords } from './network-records.ts';
import { endpointSettings, networkInspect, networkSummary } from './network-view.ts';
import { type DnsConfig, RESOLVED_UPSTREAM, RESOLV_CONF, isResolvedStub, resolvConf } from './resolv-conf.ts';
import { parseCidr } from './subnet.ts';

export interface ConnectRequest {
  containerId: string;
  /** Without the slash. */
  name: string;
  /** A network's name or id; `default` is the default bridge. */
  networkName: string;
  /** Path of the container's network namespace; of no meaning on `host`. */
  netns: string;
  endpoint?: EndpointSettings | null;
  /** What `makeNetns` gave. */
  prepared?: PreparedEndpoint | undefined;
  /** The address that it had before: it has it again unless somebody else has it now. */
  formerAddress?: string | undefined;
  ports?: readonly PortRequest[];
}

/** The networks that a container asks for, by name, with what it asks of each. */
export type WantedNetworks = Record<string, EndpointSettings | null>;

export interface Connection {
  endpoint: Endpoint;
  settings: EndpointSettings;
}

/** The networks of this daemon and the containers on them. */
export class Networks {
  readonly #records: NetworkRecords;
  readonly #events: EventLog;
  readonly #logger: Logger;
  readonly #options: NetworkOptions;
  readonly #bridge: BridgeDriver;
  /** Of guests that share a network namespace with others. */
  readonly guestLinks: GuestLinks;
  readonly #pools = new Map<string, AddressPool>();
  readonly #pruning: PruneTurn;
  readonly #spareNetns = new SpareNetns<PreparedEndpoint | undefined>();

  constructor(o: {
    database: Database;
    events: EventLog;
    logger: Logger;
    options?: Partial<NetworkOptions>;
  }) {
    this.#records = new NetworkRecords(o.database);
    this.#events = o.events;
    this.#pruning = new PruneTurn(o.events, 'network');
    this.#logger = o.logger;
    this.#options = networkOptions(o.options);
    this.#bridge = new BridgeDriver(this.#options, o.logger);
    this.guestLinks = new GuestLinks(this.#options, o.logger);
  }

  /**
   * Brings the host to what the records say: bridge, addresses, packet rules, ports. To be called once, before anything
   * else. `running` and `links` are the endpoints and guests' links of containers that run; all others are forgotten.
   */
  async restore(
    running: readonly Pick<Endpoint, 'endpointId'>[] = [],
    links: readonly GuestLink[] = [],
  ): Promise<void> {
    this.guestLinks.restore(links);
    const alive = new Set(running.map(({ endpointId }) => endpointId));
    for (const { endpointId } of this.#records.endpoints()) {
      if (!alive.has(endpointId)) this.#records.removeEndpoint(endpointId);
    }
    const previous = new Map(this.#records.networks().map((network) => [network.name, network]));
    for (const name of PREDEFINED) {
      if (name === 'bridge' && this.#options.bridge === 'none') continue;
      const network = this.#predefined(name, previous.get(name));
      this.#records.saveNetwork(network);
      if (name === 'bridge') await this.#restoreBridge(network);
    }
  }

  /**
   * Makes the network namespace of a container at a path; `makeSpare` may have done it already, and what it has prepared in it is for
   * `connect`. A namespace left at the path by a crash is let go.
   */
  makeNetns(netns: string, wanted: WantedNetworks): PreparedEndpoint | undefined {
    return this.#spareNetns.keep(this.#preparable(wanted)?.id ?? '', netns);
  }

  /** Makes the namespace of the next container, to be called while there is time: it will mostly want what the last one did. */
  makeSpare(wanted: WantedNetworks): void {
    const network = this.#preparable(wanted);
    this.#spareNetns.make(network?.id ?? '', (netns) => network && this.#bridge.prepare(network, netns));
  }

  /** Puts a container on a network, its ports included. Docker's words when a port cannot be had. */
  async connect(request: ConnectRequest): Promise<Connection> {
    const network = this.find(request.networkName);
    const asked = request.endpoint ?? {};
    const endpoint =
      network.driver === 'bridge'
        ? await this.#attach(network, request, asked)
        : unaddressed(network, request);
    this.#records.saveEndpoint({ ...endpoint, containerName: request.name });
    this.#tell('connect', network, request.containerId);
    return { endpoint, settings: endpointSettings(asked, endpoint) };
  }

  /** Undoes `connect`, cheaply: see NetworkDriver.detach. An endpoint that is gone already is no error. */
  async disconnect(endpoint: Endpoint): Promise<void> {
    const network = this.#records.networks().find(({ id }) => id === endpoint.networkId);
    if (network === undefined) return;
    if (network.driver === 'bridge') {
      await this.#bridge.detach(network, endpoint);
      if (endpoint.ipv4 !== undefined) this.#pools.get(network.id)?.release(endpoint.ipv4.address);
    }
    this.#records.removeEndpoint(endpoint.endpointId);
    this.#tell('disconnect', network, endpoint.containerId);
  }

  /** The endpoints a container has now. */
  endpointsOf(containerId: string): Endpoint[] {
    return this.#records.endpointsOf(containerId);
  }

  /** A container has another name now: `network inspect` shows it. */
  rename(containerId: string, name: string): void {
    for (const endpoint of this.#records.endpointsOf(containerId)) {
      this.#records.saveEndpoint({ ...endpoint, containerName: name });
    }
  }

  /** By name, id, or the beginning of an id. */
  find(ref: string): NetworkRecord {
    const name = ref === 'default' ? 'bridge' : ref;
    const networks = this.#records.networks();
    const exact = networks.find((network) => network.name === name || network.id === name);
    if (exact !== undefined) return exact;
    const begun = name === '' ? [] : networks.filter(({ id }) => id.startsWith(name));
    if (begun.length > 1)
      throw invalid(`network ${name} is ambiguous (${begun.length} matches found based on ID prefix)`);
    const [only] = begun;
    if (only === undefined) throw notFound(`network ${ref} not found`);
    return only;
  }

  list(filters: Filters = {}): NetworkSummary[] {
    return this.#records
      .networks()
      .filter((network) => this.#isWanted(network, filters))
      .map(networkSummary);
  }

  /** Deletes what no container is on; the predefined ones, which are all there are, stay whatever is asked. */
  prune(): Promise<{ NetworksDeleted: string[] }> {
    return this.#pruning.run(() => ({ NetworksDeleted: [] }));
  }

  inspect(ref: string): NetworkInspect {
    const network = this.find(ref);
    return networkInspect(network, this.#records.endpoints(network.id));
  }

  /** Networks of one's own come with a later version. */
  create(name: string): never {
    if (isPredefined(name)) throw forbidden(`operation is not permitted on predefined ${name} network`);
    throw notImplemented('Hull does not make networks yet: containers use "bridge", "host" or "none"');
  }

  remove(ref: string): never {
    const { name } = this.find(ref);
    if (isPredefined(name)) throw forbidden(`${name} is a pre-defined network and cannot be removed`);
    throw notImplemented('Hull does not remove networks yet');
  }

  /** The text of a container's /etc/resolv.conf: its own settings, else the daemon's, else the host's. */
  resolvConf(dns: DnsConfig, o: { hostNetwork?: boolean } = {}): string {
    let host = readText(RESOLV_CONF);
    if (isResolvedStub(host) && o.hostNetwork !== true) host = readText(RESOLVED_UPSTREAM) || host;
    const own = this.#options.dns;
    const merged: DnsConfig = {
      servers: dns.servers?.length ? dns.servers : own.servers,
      search: dns.search?.length ? dns.search : own.search,
      options: dns.options?.length ? dns.options : own.options,
    };
    return resolvConf(host, { dns: merged, ...o });
  }

  /** Whether containers of the default bridge may talk to each other (`--icc`). */
  get icc(): boolean {
    return this.#options.icc;
  }

  /** The host's addresses as containers see them, `host-gateway` of `--add-host`: as the daemon was told, else that on the default bridge. */
  get hostGateways(): readonly string[] {
    const told = this.#options.hostGateways;
    if (told.length > 0) return told;
    const bridge = this.#records.networks().find(({ name }) => name === 'bridge');
    return (bridge?.ipam.config ?? []).flatMap(({ gateway }) => gateway ?? []);
  }

  /** Before the daemon ends: running containers keep their network; ports served by the daemon itself stop. */
  close(): void {
    this.#spareNetns[Symbol.dispose]();
    this.guestLinks.stop();
    this.#bridge.close({ removeRules: false });
  }

  /** Removes bridge and packet rules from the host, when no container uses them: for uninstalling, and for tests. */
  async cleanup(): Promise<void> {
    this.#spareNetns[Symbol.dispose]();
    const bridge = this.#records.networks().find(({ name }) => name === 'bridge');
    if (bridge !== undefined && this.#records.endpoints(bridge.id).length === 0) {
      await this.#bridge.removeNetwork(bridge);
      this.#bridge.close({ removeRules: true });
    }
  }

  #predefined(name: (typeof PREDEFINED)[number], previous: NetworkRecord | undefined): NetworkRecord {
    const network = predefinedNetwork(name, this.#options, previous);
    const used = previous !== undefined && this.#records.endpoints(previous.id).length > 0;
    const [before, now] = [previous?.ipam.config[0], network.ipam.config[0]];
    if (used && before !== undefined && before.subnet !== now?.subnet) {
      this.#logger.warn('The default bridge keeps its subnet while containers run on it', {
        subnet: before.subnet,
      });
      return { ...network, ipam: previous.ipam };
    }
    return network;
  }

  async #restoreBridge(network: NetworkRecord): Promise<void> {
    const { subnet, gateway } = ipv4Of(network);
    const range = network.ipam.config[0]?.ipRange;
    const pool = new AddressPool(subnet, range === undefined ? subnet : parseCidr(range).subnet);
    if (gateway !== undefined) pool.take(gateway);
    const endpoints = this.#records.endpoints(network.id);
    for (const { ipv4 } of endpoints)
      if (ipv4 !== undefined && !pool.isTaken(ipv4.address)) pool.take(ipv4.address);
    this.#pools.set(network.id, pool);
    await this.#bridge.restore(network, endpoints);
  }

  async #attach(network: NetworkRecord, request: ConnectRequest, asked: EndpointSettings): Promise<Endpoint> {
    const pool = this.#pools.get(network.id);
    if (pool === undefined)
      throw internal(`Cannot connect to network "${network.name}": it is not restored yet`);
    const wanted = asked.IPAMConfig?.IPv4Address ?? '';
    if ((wanted !== '' || asked.IPAMConfig?.IPv6Address) && isPredefined(network.name)) {
      throw invalid('user specified IP address is supported on user defined networks only');
    }
    if (asked.Aliases?.length && isPredefined(network.name)) {
      throw invalid('network-scoped alias is supported only for containers in user defined networks');
    }
    if (asked.IPAMConfig?.LinkLocalIPs?.length) {
      throw notImplemented('Link-local addresses are not implemented: leave LinkLocalIPs out');
    }
    const interfaceName = interfaceNameOf(asked);
    const mac = asked.MacAddress ? parseMac(asked.MacAddress) : undefined;
    const address = wanted === '' ? allocateAgain(pool, request.formerAddress) : pool.take(wanted);
    const { prepared } = request;
    try {
      return await this.#bridge.attach(network, {
        endpointId: prepared?.endpointId ?? newId(),
        ...(prepared === undefined ? {} : { prepared }),
        containerId: request.containerId,
        containerName: request.name,
        netns: request.netns,
        ...(interfaceName === undefined ? {} : { interfaceName }),
        macAddress: mac ?? macOfAddress(address),
        ipv4Address: address,
        ports: request.ports ?? [],
      });
    } catch (error) {
      pool.release(address);
      throw error;
    }
  }

  /** The one network whose interface can be made before anybody wants it: with a bridge, and without wishes. */
  #preparable(wanted: WantedNetworks): NetworkRecord | undefined {
    const [only, ...more] = Object.entries(wanted);
    if (only === undefined || more.length > 0 || interfaceNameOf(only[1] ?? {}) !== undefined)
      return undefined;
    const network = this.find(only[0]);
    return network.driver === 'bridge' ? network : undefined;
  }

  #isWanted(network: NetworkRecord, filters: Filters): boolean {
    // `dangling` is what `docker network ls` asks for networks that no container uses; the predefined never are.
    const dangling = filters['dangling']?.some((value) => value === 'true' || value === '1') === true;
    return (
      matchesPrefix(filters, 'id', network.id) &&
      matchesPattern(filters, 'name', network.name) &&
      matchesExactly(filters, 'driver', network.driver) &&
      matchesExactly(filters, 'scope', 'local') &&
      matchesExactly(filters, 'type', isPredefined(network.name) ? 'builtin' : 'custom') &&
      matchesLabels(filters, 'label', network.labels) &&
      !(hasFilter(filters, 'dangling') && dangling)
    );
  }

  #tell(action: 'connect' | 'disconnect', network: NetworkRecord, container: string): void {
    const attributes = { container, name: network.name, type: network.driver };
    this.#events.publish({ type: 'network', action, id: network.id, attributes });
  }
}

function isPredefined(name: string): boolean {
  return PREDEFINED.some((predefined) => predefined === name);
}

function allocateAgain(pool: AddressPool, former: string | undefined): string {
  if (!former) return pool.allocate();
  try {
    return pool.take(former);
  } catch (error) {
    // Somebody else has it, or the network has other addresses now.
    if (!isKind(error, 'conflict') && !isKind(error, 'invalid')) throw error;
    return pool.allocate();
  }
}

/** On `host` and `none` a container has an endpoint in name only. */
function unaddressed(network: NetworkRecord, request: ConnectRequest): Endpoint {
  return {
    endpointId: newId(),
    networkId: network.id,
    containerId: request.containerId,
    netns: request.netns,
    interfaceName: '',
    macAddress: '',
    ports: [],
  };
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
