import { constants, openSync, closeSync } from 'node:fs';
import { errnoCode, unavailable } from '#/base/errors.ts';
import type { Attributes } from './message.ts';
import {
  NLM_F_CREATE,
  NLM_F_EXCL,
  attribute,
  decodeAttributes,
  decodeText,
  nested,
  text,
  u32,
  u8,
} from './message.ts';
import type { NetlinkRequest, NetlinkSocket } from './socket.ts';

/* include/uapi/linux/{rtnetlink,if_link,if_bridge,veth}.h */
const RTM_NEWLINK = 16;
const RTM_DELLINK = 17;
const RTM_GETLINK = 18;
const RTM_SETLINK = 19;
const AF_BRIDGE = 7;
const IFF_UP = 1;
const IFLA_ADDRESS = 1;
const IFLA_IFNAME = 3;
const IFLA_MTU = 4;
const IFLA_MASTER = 10;
const IFLA_PROTINFO = 12;
const IFLA_LINKINFO = 18;
const IFLA_NET_NS_FD = 28;
const IFLA_INFO_KIND = 1;
const IFLA_INFO_DATA = 2;
const VETH_INFO_PEER = 1;
const IFLA_BR_STP_STATE = 5;
const IFLA_BR_FORWARD_DELAY = 1;
const IFLA_BRPORT_STATE = 1;
const IFLA_BRPORT_MODE = 4;

export interface Link {
  index: number;
  name: string;
  up: boolean;
  /** `02:42:ac:11:00:02`, or nothing for links that have none. */
  mac: string;
  mtu: number;
  /** The index of the bridge (or other master) it is a port of, or 0. */
  master: number;
  /** `bridge`, `veth`, …; nothing for hardware. */
  kind: string;
}

export interface LinkChange {
  up?: boolean;
  /** Index of the master; 0 takes it out. */
  master?: number;
  mtu?: number;
  mac?: string;
  name?: string;
  /** Path of the network namespace to move it to. */
  netns?: string;
}

export function macBytes(mac: string): Buffer {
  if (!/^[\da-f]{2}(:[\da-f]{2}){5}$/i.test(mac)) throw new Error(`"${mac}" is not a MAC address`);
  return Buffer.from(mac.replaceAll(':', ''), 'hex');
}

/** `struct ifinfomsg`: family, device type, index, flags, and which of the flags to change. */
function linkHeader({
  family = 0,
  index = 0,
  up,
}: {
  family?: number;
  index?: number;
  up?: boolean;
}): Buffer {
  const header = Buffer.alloc(16);
  header.writeUInt8(family, 0);
  header.writeInt32LE(index, 4);
  if (up !== undefined) {
    header.writeUInt32LE(up ? IFF_UP : 0, 8);
    header.writeUInt32LE(IFF_UP, 12);
  }
  return header;
}

function changeAttributes({ master, mtu, mac, name }: LinkChange): Buffer[] {
  const parts: Buffer[] = [];
  if (name !== undefined) parts.push(text(IFLA_IFNAME, name));
  if (mac !== undefined) parts.push(attribute(IFLA_ADDRESS, macBytes(mac)));
  if (mtu !== undefined) parts.push(u32(IFLA_MTU, mtu));
  if (master !== undefined) parts.push(u32(IFLA_MASTER, master));
  return parts;
}

function addLink(socket: NetlinkSocket, kind: string, change: LinkChange, data: Buffer[] = []): void {
  const info = [text(IFLA_INFO_KIND, kind)];
  if (data.length > 0) info.push(nested(IFLA_INFO_DATA, ...data));
  const parts = [linkHeader(change), ...changeAttributes(change), nested(IFLA_LINKINFO, ...info)];
  const what = `add ${kind} "${change.name ?? ''}"`;
  try {
    socket.run({
      type: RTM_NEWLINK,
      flags: NLM_F_CREATE | NLM_F_EXCL,
      payload: Buffer.concat(parts),
      what,
    });
  } catch (error) {
    // The kernel has looked for the module itself.
    if (errnoCode(error) !== 'EOPNOTSUPP') throw error;
    const why = `the kernel has no links of that kind, and "modprobe ${kind}" finds none`;
    throw unavailable(`Cannot ${what}: ${why}`, { cause: error });
  }
}

/** A bridge without spanning tree, whose ports forward at once. */
export function addBridge(socket: NetlinkSocket, change: LinkChange & { name: string }): void {
  addLink(socket, 'bridge', change, [u32(IFLA_BR_STP_STATE, 0), u32(IFLA_BR_FORWARD_DELAY, 0)]);
}

/**
 * Two ends in one step, the second straight in its own namespace: neither is ever seen half made. `far` cannot be up
 * from the start: the kernel lets the second end open only once the first one exists.
 */
export function addVethPair(
  socket: NetlinkSocket,
  near: LinkChange & { name: string },
  far: Omit<LinkChange, 'up'> & { name: string },
): void {
  const fd = far.netns === undefined ? undefined : openSync(far.netns, constants.O_RDONLY);
  try {
    const peer = [linkHeader({}), ...changeAttributes(far)];
    if (fd !== undefined) peer.push(u32(IFLA_NET_NS_FD, fd));
    addLink(socket, 'veth', near, [nested(VETH_INFO_PEER, ...peer)]);
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

/** The request that changes a link, to go with others. */
export function setLinkRequest(index: number, change: Omit<LinkChange, 'netns'>): NetlinkRequest {
  return {
    type: RTM_NEWLINK,
    flags: 0,
    payload: Buffer.concat([linkHeader({ ...change, index }), ...changeAttributes(change)]),
    what: `change link ${index}`,
  };
}

/** Changes a link given by its index, or by its name, which `change` then cannot change. */
export function setLink(socket: NetlinkSocket, link: number | string, change: LinkChange): void {
  const index = typeof link === 'number' ? link : 0;
  const name = typeof link === 'number' ? change.name : link;
  const fd = change.netns === undefined ? undefined : openSync(change.netns, constants.O_RDONLY);
  try {
    const parts = [
      linkHeader({ ...change, index }),
      ...changeAttributes({ ...change, ...(name === undefined ? {} : { name }) }),
    ];
    if (fd !== undefined) parts.push(u32(IFLA_NET_NS_FD, fd));
    socket.run({ type: RTM_NEWLINK, flags: 0, payload: Buffer.concat(parts), what: `change link ${link}` });
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

/** Removing a veth end removes the other one, and waits for a grace period of the kernel: milliseconds. */
export function removeLink(socket: NetlinkSocket, index: number): void {
  socket.run({ type: RTM_DELLINK, flags: 0, payload: linkHeader({ index }), what: `remove link ${index}` });
}

export interface BridgePort {
  /** Let a frame out of the port it came in by. */
  hairpin?: boolean;
  /** False stops all forwarding through the port at once. */
  forwarding?: boolean;
}

export function setBridgePort(
  socket: NetlinkSocket,
  index: number,
  { hairpin, forwarding }: BridgePort,
): void {
  const parts: Buffer[] = [];
  if (hairpin !== undefined) parts.push(u8(IFLA_BRPORT_MODE, hairpin ? 1 : 0));
  // BR_STATE_DISABLED and BR_STATE_FORWARDING
  if (forwarding !== undefined) parts.push(u8(IFLA_BRPORT_STATE, forwarding ? 3 : 0));
  const payload = Buffer.concat([linkHeader({ family: AF_BRIDGE, index }), nested(IFLA_PROTINFO, ...parts)]);
  socket.run({ type: RTM_SETLINK, flags: 0, payload, what: `change bridge port ${index}` });
}

/** The link of that name, or nothing. */
export function findLink(socket: NetlinkSocket, name: string): Link | undefined {
  const payload = Buffer.concat([linkHeader({}), text(IFLA_IFNAME, name)]);
  try {
    return decodeLink(socket.get({ type: RTM_GETLINK, flags: 0, payload, what: `find link "${name}"` }));
  } catch (error) {
    if (errnoCode(error) === 'ENODEV') return undefined;
    throw error;
  }
}

export function listLinks(socket: NetlinkSocket): Link[] {
  return socket
    .dump({ type: RTM_GETLINK, flags: 0, payload: linkHeader({}), what: 'list links' })
    .map(decodeLink);
}

function decodeLink(payload: Buffer): Link {
  const attributes: Attributes = decodeAttributes(payload.subarray(16));
  const info = decodeAttributes(attributes.get(IFLA_LINKINFO) ?? Buffer.alloc(0));
  return {
    index: payload.readInt32LE(4),
    name: decodeText(attributes.get(IFLA_IFNAME)),
    up: (payload.readUInt32LE(8) & IFF_UP) !== 0,
    mac: (attributes.get(IFLA_ADDRESS)?.toString('hex') ?? '').replaceAll(/(..)(?!$)/g, '$1:'),
    mtu: attributes.get(IFLA_MTU)?.readUInt32LE() ?? 0,
    master: attributes.get(IFLA_MASTER)?.readUInt32LE() ?? 0,
    kind: decodeText(info.get(IFLA_INFO_KIND)),
  };
}
