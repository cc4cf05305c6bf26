import { addressBytes, formatAddress } from './address-format.ts';
import { AF_INET, AF_INET6 } from './addresses.ts';
import { NLM_F_CREATE, NLM_F_REPLACE, attribute, decodeAttributes, u32 } from './message.ts';
import type { NetlinkRequest, NetlinkSocket } from './socket.ts';

/* include/uapi/linux/rtnetlink.h */
const RTM_NEWROUTE = 24;
const RTM_DELROUTE = 25;
const RTM_GETROUTE = 26;
const RTA_DST = 1;
const RTA_OIF = 4;
const RTA_GATEWAY = 5;
const RTA_TABLE = 15;
const RT_TABLE_MAIN = 254;
const RTPROT_BOOT = 3;
const RT_SCOPE_UNIVERSE = 0;
const RT_SCOPE_LINK = 253;
const RTN_UNICAST = 1;

export interface Route {
  /** `0.0.0.0` or `::` with prefix length 0 is the default route. */
  destination: string;
  prefixLength: number;
  gateway?: string;
  /** Index of the link it leaves by. */
  link?: number;
}

/** A unicast route of the main table. */
export function addRouteRequest(route: Route): NetlinkRequest {
  return {
    type: RTM_NEWROUTE,
    flags: NLM_F_CREATE | NLM_F_REPLACE,
    payload: routePayload(route),
    what: `add route to ${route.destination}/${route.prefixLength}`,
  };
}

export function addRoute(socket: NetlinkSocket, route: Route): void {
  socket.run(addRouteRequest(route));
}

export function removeRoute(socket: NetlinkSocket, route: Route): void {
  const what = `remove route to ${route.destination}/${route.prefixLength}`;
  socket.run({ type: RTM_DELROUTE, flags: 0, payload: routePayload(route), what });
}

/** The unicast routes of the main table, of both families. */
export function listRoutes(socket: NetlinkSocket): Route[] {
  const routes: Route[] = [];
  for (const family of [AF_INET, AF_INET6]) {
    const payload = Buffer.alloc(12);
    payload.writeUInt8(family, 0);
    for (const object of socket.dump({ type: RTM_GETROUTE, flags: 0, payload, what: 'list routes' })) {
      const route = decodeRoute(object);
      if (route !== undefined) routes.push(route);
    }
  }
  return routes;
}

/** `struct rtmsg`: family, lengths of destination and source, TOS, table, protocol, scope, type, flags. */
function routePayload({ destination, prefixLength, gateway, link }: Route): Buffer {
  const bytes = addressBytes(destination);
  const scope = gateway === undefined ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
  const family = bytes.length === 4 ? AF_INET : AF_INET6;
  const kind = [RT_TABLE_MAIN, RTPROT_BOOT, scope, RTN_UNICAST];
  const parts: Buffer[] = [Buffer.from([family, prefixLength, 0, 0, ...kind, 0, 0, 0, 0])];
  if (prefixLength > 0) parts.push(attribute(RTA_DST, bytes));
  if (gateway !== undefined) parts.push(attribute(RTA_GATEWAY, addressBytes(gateway)));
  if (link !== undefined) parts.push(u32(RTA_OIF, link));
  return Buffer.concat(parts);
}

function decodeRoute(payload: Buffer): Route | undefined {
  const attributes = decodeAttributes(payload.subarray(12));
  const table = attributes.get(RTA_TABLE)?.readUInt32LE() ?? payload.readUInt8(4);
  if (table !== RT_TABLE_MAIN || payload.readUInt8(7) !== RTN_UNICAST) return undefined;
  const any = Buffer.alloc(payload.readUInt8(0) === AF_INET ? 4 : 16);
  const gateway = attributes.get(RTA_GATEWAY);
  const link = attributes.get(RTA_OIF)?.readUInt32LE();
  return {
    destination: formatAddress(attributes.get(RTA_DST) ?? any),
    prefixLength: payload.readUInt8(1),
    ...(gateway === undefined ? {} : { gateway: formatAddress(gateway) }),
    ...(link === undefined ? {} : { link }),
  };
}
