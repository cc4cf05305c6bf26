import { createHash } from 'node:crypto';
import type { DnsConfig } from './resolv-conf.ts';
import { type AddressPoolConfig, DEFAULT_ADDRESS_POOLS } from './subnet.ts';

/** What the daemon's flags say about networks. */
export interface NetworkOptions {
  /** Names this daemon's bridge and table on the host: see instanceName. */
  instance: string;
  /** `--bridge`: an existing link to use, or `none` for no default bridge at all. */
  bridge?: string;
  /** `--bip`: address and prefix of the default bridge, `192.168.5.1/24`. */
  bip?: string;
  /** `--fixed-cidr`: the part of the subnet that addresses are picked from. */
  fixedCidr?: string;
  /** `--default-gateway` */
  defaultGateway?: string;
  defaultAddressPools: readonly AddressPoolConfig[];
  /** `--icc`: containers of the default bridge may talk to each other. */
  icc: boolean;
  /** `--iptables`: make packet rules. Without, published ports are served by the daemon itself, and nothing is masked. */
  iptables: boolean;
  ipForward: boolean;
  ipMasq: boolean;
  mtu: number;
  /** `--ip`: where published ports without an address go. */
  hostIp: string;
  dns: DnsConfig;
  /** `--host-gateway-ip`: what `host-gateway` stands for. */
  hostGateways: readonly string[];
}

/** Docker's defaults. */
export function networkOptions(given: Partial<NetworkOptions> = {}): NetworkOptions {
  return {
    instance: 'hull',
    defaultAddressPools: DEFAULT_ADDRESS_POOLS,
    icc: true,
    iptables: true,
    ipForward: true,
    ipMasq: true,
    mtu: 1500,
    hostIp: '0.0.0.0',
    dns: {},
    hostGateways: [],
    ...given,
  };
}

const DEFAULT_DATA_ROOT = '/var/lib/hull';

/** `hull` for the default data root; another for every other, so that daemons side by side do not collide. */
export function instanceName(dataRoot: string): string {
  if (dataRoot === DEFAULT_DATA_ROOT) return 'hull';
  return `hull${createHash('sha256').update(dataRoot).digest('hex').slice(0, 8)}`;
}
