/**
 * Netlink's wire format, as far as rtnetlink and nfnetlink need it: messages of a 16-byte header and a payload, payloads
 * of a fixed struct and attributes (type, length, value), everything aligned to four bytes and, but for values that say
 * otherwise, in the machine's byte order. Hull runs on little-endian machines only. See netlink(7).
 */
export const NLMSG_ERROR = 2;
export const NLMSG_DONE = 3;
export const NLM_F_REQUEST = 1;
export const NLM_F_MULTI = 2;
export const NLM_F_ACK = 4;
export const NLM_F_REPLACE = 0x100;
export const NLM_F_DUMP = 0x300;
export const NLM_F_EXCL = 0x200;
export const NLM_F_CREATE = 0x400;
export const NLM_F_APPEND = 0x800;

const HEADER = 16;
/** Set in an attribute's type when its value is attributes, or in network byte order. */
const NLA_TYPE_MASK = 0x3fff;
const NLA_F_NESTED = 0x8000;

export interface NetlinkMessage {
  type: number;
  flags: number;
  sequence: number;
  payload: Buffer;
}

export type Attributes = Map<number, Buffer>;

const aligned = (length: number): number => (length + 3) & ~3;

export function encodeMessage({ type, flags, sequence, payload }: NetlinkMessage): Buffer {
  const message = Buffer.alloc(aligned(HEADER + payload.length));
  message.writeUInt32LE(HEADER + payload.length, 0);
  message.writeUInt16LE(type, 4);
  message.writeUInt16LE(flags, 6);
  message.writeUInt32LE(sequence, 8);
  payload.copy(message, HEADER);
  return message;
}

/** The messages of one datagram. */
export function* decodeMessages(data: Buffer): Generator<NetlinkMessage> {
  let at = 0;
  while (at + HEADER <= data.length) {
    const length = data.readUInt32LE(at);
    if (length < HEADER || at + length > data.length)
      throw new Error(`Netlink message of ${length} bytes is cut off`);
    yield {
      type: data.readUInt16LE(at + 4),
      flags: data.readUInt16LE(at + 6),
      sequence: data.readUInt32LE(at + 8),
      payload: data.subarray(at + HEADER, at + length),
    };
    at += aligned(length);
  }
}

export function attribute(type: number, value: Uint8Array): Buffer {
  const encoded = Buffer.alloc(aligned(4 + value.length));
  encoded.writeUInt16LE(4 + value.length, 0);
  encoded.writeUInt16LE(type, 2);
  encoded.set(value, 4);
  return encoded;
}

export function nested(type: number, ...parts: readonly Uint8Array[]): Buffer {
  return attribute(type | NLA_F_NESTED, Buffer.concat(parts));
}

export function u8(type: number, value: number): Buffer {
  return attribute(type, Buffer.of(value));
}

export function u32(type: number, value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value >>> 0);
  return attribute(type, bytes);
}

export function text(type: number, value: string): Buffer {
  return attribute(type, Buffer.from(`${value}\0`));
}

/** The attributes in `data`; of two with one type the last counts. Ends at the first that does not fit. */
export function decodeAttributes(data: Buffer): Attributes {
  const attributes: Attributes = new Map();
  let at = 0;
  while (at + 4 <= data.length) {
    const length = data.readUInt16LE(at);
    if (length < 4 || at + length > data.length) break;
    attributes.set(data.readUInt16LE(at + 2) & NLA_TYPE_MASK, data.subarray(at + 4, at + length));
    at += aligned(length);
  }
  return attributes;
}

/** A zero-terminated string. */
export function decodeText(value: Buffer | undefined): string {
  if (value === undefined) return '';
  const end = value.indexOf(0);
  return value.toString('utf8', 0, end === -1 ? value.length : end);
}
