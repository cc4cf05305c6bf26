import { addressBytes, formatAddress } from './address-format.ts';
import { NLM_F_CREATE, NLM_F_REPLACE, attribute, decodeAttributes, u32 } from './message.ts';
import type { NetlinkRequest, NetlinkSocket } from './socket.ts';

/* include/uapi/linux/{rtnetlink,if_addr}.h */
const RTM_NEWADDR = 20;
const RTM_DELADDR = 21;
const RTM_GETADDR = 22;
export const AF_INET = 2;
export const AF_INET6 = 10;
const IFA_ADDRESS = 1;
const IFA_LOCAL = 2;
const IFA_BROADCAST = 4;
const IFA_FLAGS = 8;
const IFA_F_NODAD = 2;
const RT_SCOPE_LINK = 253;
const RT_SCOPE_HOST = 254;

export interface Address {
  /** Index of the link. */
  link: number;
  address: string;
  prefixLength: number;
  scope: 'global' | 'link' | 'host';
}

/** The address is usable at once: IPv6's search for duplicates is left out. Adding what is there changes nothing. */
export function addAddressRequest(link: number, address: string, prefixLength: number): NetlinkRequest {
  return {
    type: RTM_NEWADDR,
    flags: NLM_F_CREATE | NLM_F_REPLACE,
    payload: addressPayload(link, address, prefixLength),
    what: `add address ${address}/${prefixLength}`,
  };
}

export function addAddress(socket: NetlinkSocket, link: number, address: string, prefixLength: number): void {
  socket.run(addAddressRequest(link, address, prefixLength));
}

export function removeAddress(
  socket: NetlinkSocket,
  link: number,
  address: string,
  prefixLength: number,
): void {
  const payload = addressPayload(link, address, prefixLength);
  socket.run({ type: RTM_DELADDR, flags: 0, payload, what: `remove address ${address}/${prefixLength}` });
}

export function listAddresses(socket: NetlinkSocket, link?: number): Address[] {
  const payload = Buffer.alloc(8);
  return socket
    .dump({ type: RTM_GETADDR, flags: 0, payload, what: 'list addresses' })
    .map(decodeAddress)
    .filter((address) => link === undefined || address.link === link);
}

/** `struct ifaddrmsg`: family, prefix length, flags, scope, link. */
function addressPayload(link: number, address: string, prefixLength: number): Buffer {
  const bytes = addressBytes(address);
  const header = Buffer.alloc(8);
  header.writeUInt8(bytes.length === 4 ? AF_INET : AF_INET6, 0);
  header.writeUInt8(prefixLength, 1);
  header.writeUInt32LE(link, 4);
  const parts = [header, attribute(IFA_LOCAL, bytes), attribute(IFA_ADDRESS, bytes)];
  if (bytes.length === 16) parts.push(u32(IFA_FLAGS, IFA_F_NODAD));
  else if (prefixLength < 31) parts.push(attribute(IFA_BROADCAST, broadcastOf(bytes, prefixLength)));
  return Buffer.concat(parts);
}

function broadcastOf(address: Buffer, prefixLength: number): Buffer {
  const broadcast = Buffer.alloc(4);
  broadcast.writeUInt32BE((address.readUInt32BE() | (0xffffffff >>> prefixLength)) >>> 0);
  return broadcast;
}

function decodeAddress(payload: Buffer): Address {
  const attributes = decodeAttributes(payload.subarray(8));
  const scope = payload.readUInt8(3);
  return {
    link: payload.readUInt32LE(4),
    address: formatAddress(attributes.get(IFA_LOCAL) ?? attributes.get(IFA_ADDRESS) ?? Buffer.alloc(4)),
    prefixLength: payload.readUInt8(1),
    scope: scope === RT_SCOPE_LINK ? 'link' : scope === RT_SCOPE_HOST ? 'host' : 'global',
  };
}
