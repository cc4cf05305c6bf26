/**
 * Puts containers on a network of one kind (bridge, …). The engine gives it the namespace of a container as a path; the
 * driver makes the link, addresses and routes inside, and publishes ports. It keeps nothing in memory that it could not
 * find again: `restore` brings the host to what the records say, after a restart or a reboot.
 */
export interface NetworkDriver {
  readonly name: string;
  createNetwork(network: NetworkRecord): Promise<void>;
  removeNetwork(network: NetworkRecord): Promise<void>;
  /** Does of `attach` what needs no address: the slow part. It goes with the namespace. */
  prepare(network: NetworkRecord, netns: string): PreparedEndpoint;
  attach(network: NetworkRecord, endpoint: EndpointRequest): Promise<Endpoint>;
  /**
   * Undoes `attach`, the published ports included. The namespace may be gone already; where it is not, the interface
   * stays in it, cut off, until the namespace goes.
   */
  detach(network: NetworkRecord, endpoint: Endpoint): Promise<void>;
  restore(network: NetworkRecord, endpoints: readonly Endpoint[]): Promise<void>;
}

/** The interface of an endpoint that nobody has yet, in a namespace that no container has yet. */
export interface PreparedEndpoint {
  endpointId: string;
  networkId: string;
  interfaceName: string;
  /** Of the link, inside. */
  index: number;
}

export interface NetworkRecord {
  id: string;
  name: string;
  driver: string;
  created: string;
  internal: boolean;
  attachable: boolean;
  enableIPv6: boolean;
  ipam: { driver: string; options: Record<string, string>; config: SubnetConfig[] };
  options: Record<string, string>;
  labels: Record<string, string>;
}

export interface SubnetConfig {
  /** CIDR. */
  subnet: string;
  gateway?: string;
  ipRange?: string;
  auxAddresses?: Record<string, string>;
}

export interface EndpointRequest {
  /** 64 hexadecimal characters. */
  endpointId: string;
  containerId: string;
  /** For errors, in Docker's words. */
  containerName: string;
  /** Path of the network namespace, e.g. `/run/hull/netns/<id>`. */
  netns: string;
  interfaceName?: string;
  /** What `prepare` put into the namespace; the endpoint has its id. */
  prepared?: PreparedEndpoint;
  macAddress: string;
  /** Reserved for it in the network's address pool. */
  ipv4Address: string;
  ipv6Address?: string;
  ports: readonly PortRequest[];
}

/** One wanted published port. */
export interface PortRequest {
  containerPort: number;
  protocol: 'tcp' | 'udp' | 'sctp';
  /** Without it the network's default, mostly all of the host's addresses. */
  hostIp?: string;
  /** 0 or absent: a free one of the host's ephemeral range. With `hostPortEnd`, a free one of that range. */
  hostPort?: number;
  hostPortEnd?: number;
}

export interface PublishedPort {
  containerPort: number;
  protocol: 'tcp' | 'udp' | 'sctp';
  hostIp: string;
  hostPort: number;
}

export interface Endpoint {
  endpointId: string;
  networkId: string;
  containerId: string;
  netns: string;
  interfaceName: string;
  macAddress: string;
  ipv4?: { address: string; prefixLength: number; gateway?: string };
  ipv6?: { address: string; prefixLength: number; gateway?: string };
  ports: PublishedPort[];
}
