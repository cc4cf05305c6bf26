import { isIPv4 } from 'node:net';
import { invalid } from '#/base/errors.ts';

/** An IPv4 network: its lowest address as a number, and how many leading bits all its addresses share. */
export interface Subnet {
  /** `172.17.0.0` */
  base: string;
  prefixLength: number;
  /** `172.17.0.0/16` */
  text: string;
}

export function parseIpv4(address: string): number {
  if (!isIPv4(address)) throw invalid(`invalid IPv4 address: ${address}`);
  return address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
}

export function formatIpv4(value: number): string {
  return [24, 16, 8, 0].map((shift) => (value >>> shift) & 255).join('.');
}

/** `192.168.5.1/24` gives the address and the subnet it lies in. */
export function parseCidr(text: string): { address: string; subnet: Subnet } {
  const [address = '', length = '', ...rest] = text.split('/');
  const prefixLength = Number(length);
  if (!isIPv4(address) || rest.length > 0 || !/^\d{1,2}$/.test(length) || prefixLength > 32) {
    throw invalid(`invalid CIDR address: ${text}`);
  }
  return { address, subnet: subnetOf(address, prefixLength) };
}

export function subnetOf(address: string, prefixLength: number): Subnet {
  const size = 2 ** (32 - prefixLength);
  const base = formatIpv4(Math.floor(parseIpv4(address) / size) * size);
  return { base, prefixLength, text: `${base}/${prefixLength}` };
}

/** How many addresses it has. */
export function sizeOf(subnet: Subnet): number {
  return 2 ** (32 - subnet.prefixLength);
}

/** The place of an address within the subnet, or nothing when it is outside, or no IPv4 address. */
export function offsetIn(subnet: Subnet, address: string): number | undefined {
  if (!isIPv4(address)) return undefined;
  const offset = parseIpv4(address) - parseIpv4(subnet.base);
  return offset >= 0 && offset < sizeOf(subnet) ? offset : undefined;
}

export function addressOf(subnet: Subnet, offset: number): number {
  return parseIpv4(subnet.base) + offset;
}

export function overlaps(a: Subnet, b: Subnet): boolean {
  const [wide, narrow] = a.prefixLength <= b.prefixLength ? [a, b] : [b, a];
  return offsetIn(wide, narrow.base) !== undefined;
}

export interface AddressPoolConfig {
  /** CIDR that subnets are cut from. */
  base: string;
  /** Prefix length of each. */
  size: number;
}

/** Docker's own: see "default-address-pools" in its documentation. */
export const DEFAULT_ADDRESS_POOLS: readonly AddressPoolConfig[] = [
  { base: '172.17.0.0/16', size: 16 },
  { base: '172.18.0.0/16', size: 16 },
  { base: '172.19.0.0/16', size: 16 },
  { base: '172.20.0.0/14', size: 16 },
  { base: '172.24.0.0/14', size: 16 },
  { base: '172.28.0.0/14', size: 16 },
  { base: '192.168.0.0/16', size: 20 },
];

/** The first subnet of the pools that overlaps nothing of `taken`. */
export function chooseSubnet(pools: readonly AddressPoolConfig[], taken: readonly Subnet[]): Subnet {
  for (const { base, size } of pools) {
    const { subnet: pool } = parseCidr(base);
    if (size < pool.prefixLength || size > 30) {
      throw invalid(`invalid default address pool: size ${size} does not fit ${base}`);
    }
    const step = 2 ** (32 - size);
    for (let offset = 0; offset < sizeOf(pool); offset += step) {
      const subnet = subnetOf(formatIpv4(addressOf(pool, offset)), size);
      if (!taken.some((other) => overlaps(other, subnet))) return subnet;
    }
  }
  throw invalid('all predefined address pools have been fully subnetted');
}
