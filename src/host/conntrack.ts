import { addressBytes, formatAddress } from './netlink/address-format.ts';
import { decodeAttributes } from './netlink/message.ts';
import { NetlinkSocket } from './netlink/socket.ts';
import { errnoCode } from '#/base/errors.ts';
import { nested } from './netlink/message.ts';

/* include/uapi/linux/netfilter/{nfnetlink,nfnetlink_conntrack}.h */
const NETLINK_NETFILTER = 12;
const IPCTNL_MSG_CT_GET = (1 << 8) | 1;
const IPCTNL_MSG_CT_DELETE = (1 << 8) | 2;
const CTA_TUPLE_ORIG = 1;
const CTA_TUPLE_REPLY = 2;
const CTA_TUPLE_IP = 1;
const CTA_TUPLE_PROTO = 2;
const CTA_IP_V4_SRC = 1;
const CTA_PROTO_NUM = 1;
const CTA_PROTO_DST_PORT = 3;
const AF_INET = 2;
const UDP = 17;

/** `struct nfgenmsg`: family, version, resource. */
const header = (): Buffer => Buffer.from([AF_INET, 0, 0, 0]);

/**
 * Forgets the UDP flows to one of these ports of the host, and those from one of these addresses. The kernel translates
 * a flow as its first packet was: without this, a client that goes on sending reaches the container that was there
 * before, or, if none was, nobody.
 */
export function forgetUdpFlows(ports: ReadonlySet<number>, addresses: ReadonlySet<string>): void {
  using socket = new NetlinkSocket(undefined, NETLINK_NETFILTER);
  const flows = socket.dump({ type: IPCTNL_MSG_CT_GET, flags: 0, payload: header(), what: 'list flows' });
  for (const flow of flows) {
    const attributes = decodeAttributes(flow.subarray(4));
    const original = attributes.get(CTA_TUPLE_ORIG);
    if (original === undefined) continue;
    const { protocol, port } = decodeTuple(original);
    const { source } = decodeTuple(attributes.get(CTA_TUPLE_REPLY) ?? Buffer.alloc(0));
    if (protocol !== UDP || !(ports.has(port) || addresses.has(source))) continue;
    try {
      const payload = Buffer.concat([header(), nested(CTA_TUPLE_ORIG, original)]);
      socket.run({ type: IPCTNL_MSG_CT_DELETE, flags: 0, payload, what: 'forget flow' });
    } catch (error) {
      // It ended by itself meanwhile.
      if (errnoCode(error) !== 'ENOENT') throw error;
    }
  }
}

function decodeTuple(tuple: Buffer): { protocol: number; port: number; source: string } {
  const parts = decodeAttributes(tuple);
  const protocol = decodeAttributes(parts.get(CTA_TUPLE_PROTO) ?? Buffer.alloc(0));
  const ip = decodeAttributes(parts.get(CTA_TUPLE_IP) ?? Buffer.alloc(0));
  return {
    protocol: protocol.get(CTA_PROTO_NUM)?.readUInt8() ?? 0,
    port: protocol.get(CTA_PROTO_DST_PORT)?.readUInt16BE() ?? 0,
    source: formatAddress(ip.get(CTA_IP_V4_SRC) ?? addressBytes('0.0.0.0')),
  };
}
