import { NLM_F_CREATE, NLM_F_EXCL, attribute, nested, text } from './message.ts';
import type { NetlinkRequest } from './socket.ts';

/* include/uapi/linux/{rtnetlink,pkt_sched,pkt_cls}.h, tc_act/tc_mirred.h */
const RTM_NEWQDISC = 36;
const RTM_DELQDISC = 37;
const RTM_NEWTFILTER = 44;
const TC_H_INGRESS = 0xfffffff1;
const INGRESS_HANDLE = 0xffff0000;
const PRIORITY = 1;
const ETH_P_ALL_BIG_ENDIAN = 0x0300;
const TCA_KIND = 1;
const TCA_OPTIONS = 2;
const TCA_U32_SEL = 5;
const TCA_U32_ACT = 7;
const TC_U32_TERMINAL = 1;
const TCA_ACT_KIND = 1;
const TCA_ACT_OPTIONS = 2;
const TCA_MIRRED_PARMS = 2;
const TC_ACT_STOLEN = 4;
const TCA_EGRESS_REDIR = 1;

/** Whatever comes in at one link goes out by another, by index, and is not seen by anybody else. */
export function redirectRequests(from: number, to: number): NetlinkRequest[] {
  return [
    {
      type: RTM_NEWQDISC,
      flags: NLM_F_CREATE | NLM_F_EXCL,
      payload: Buffer.concat([header(from, INGRESS_HANDLE, TC_H_INGRESS, 0), text(TCA_KIND, 'ingress')]),
      what: `watch what comes in at link ${from}`,
    },
    {
      type: RTM_NEWTFILTER,
      flags: NLM_F_CREATE | NLM_F_EXCL,
      payload: Buffer.concat([
        header(from, 0, INGRESS_HANDLE, ((PRIORITY << 16) | ETH_P_ALL_BIG_ENDIAN) >>> 0),
        text(TCA_KIND, 'u32'),
        nested(
          TCA_OPTIONS,
          attribute(TCA_U32_SEL, anything()),
          nested(
            TCA_U32_ACT,
            // Attributes of this one are numbered by their place in the chain of actions.
            nested(
              1,
              text(TCA_ACT_KIND, 'mirred'),
              nested(TCA_ACT_OPTIONS, attribute(TCA_MIRRED_PARMS, mirred(to))),
            ),
          ),
        ),
      ]),
      what: `redirect link ${from} to ${to}`,
    },
  ];
}

/** What comes in at a link is its own again. */
export function stopRedirectRequest(from: number): NetlinkRequest {
  return {
    type: RTM_DELQDISC,
    flags: 0,
    payload: Buffer.concat([header(from, INGRESS_HANDLE, TC_H_INGRESS, 0), text(TCA_KIND, 'ingress')]),
    what: `let go what comes in at link ${from}`,
  };
}

/** `struct tcmsg`. */
function header(link: number, handle: number, parent: number, info: number): Buffer {
  const bytes = Buffer.alloc(20);
  bytes.writeInt32LE(link, 4);
  bytes.writeUInt32LE(handle, 8);
  bytes.writeUInt32LE(parent, 12);
  bytes.writeUInt32LE(info, 16);
  return bytes;
}

/** `struct tc_u32_sel` with one key whose mask lets everything match. */
function anything(): Buffer {
  const bytes = Buffer.alloc(16 + 16);
  bytes.writeUInt8(TC_U32_TERMINAL, 0);
  bytes.writeUInt8(1, 2);
  return bytes;
}

/** `struct tc_mirred`: index, capabilities, action, two counts, what to do, and with which link. */
function mirred(to: number): Buffer {
  const bytes = Buffer.alloc(28);
  bytes.writeInt32LE(TC_ACT_STOLEN, 8);
  bytes.writeInt32LE(TCA_EGRESS_REDIR, 20);
  bytes.writeUInt32LE(to, 24);
  return bytes;
}
