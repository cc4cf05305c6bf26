import { errnoCode } from '#/base/errors.ts';
import { checked, libc, systemError } from '../libc.ts';
import { withNetns } from '../namespaces.ts';
import type { Attributes, NetlinkMessage } from './message.ts';
import {
  NLMSG_DONE,
  NLMSG_ERROR,
  NLM_F_ACK,
  NLM_F_DUMP,
  NLM_F_REQUEST,
  decodeAttributes,
  decodeMessages,
  decodeText,
  encodeMessage,
} from './message.ts';

/* include/uapi/linux/netlink.h, include/linux/socket.h */
const AF_NETLINK = 16;
const SOCK_RAW_CLOEXEC = 3 | 0x80000;
const SOL_SOCKET = 1;
const SO_RCVTIMEO = 20;
const SOL_NETLINK = 270;
const NETLINK_CAP_ACK = 10;
const NETLINK_EXT_ACK = 11;
export const NETLINK_ROUTE = 0;
const NLM_F_ACK_TLVS = 0x200;
const NLMSGERR_ATTR_MSG = 1;

/** More than the kernel ever puts into one datagram of a dump (32 KiB). */
const RECEIVE = 64 * 1024;

/** One thing asked of the kernel. `what` is for the error: `add link "veth0"`. */
export interface NetlinkRequest {
  type: number;
  flags: number;
  payload: Buffer;
  what: string;
}

/**
 * A netlink socket used as a synchronous call: the kernel answers within the send, so nothing here ever waits for
 * anybody else. A failed request throws a SystemError with the kernel's own sentence (extended acknowledgement).
 */
export class NetlinkSocket implements Disposable {
  readonly #fd: number;
  readonly #buffer = Buffer.allocUnsafe(RECEIVE);
  #sequence = 0;

  /** `netns` is the path of the network namespace to talk to, else this process's own. */
  constructor(netns?: string, protocol = NETLINK_ROUTE) {
    const open = () => checked(libc.socket(AF_NETLINK, SOCK_RAW_CLOEXEC, protocol), 'socket');
    this.#fd = netns === undefined ? open() : withNetns(netns, open);
    this.#set(SOL_NETLINK, NETLINK_EXT_ACK, 1);
    this.#set(SOL_NETLINK, NETLINK_CAP_ACK, 1);
    const timeout = Buffer.alloc(16);
    timeout.writeBigInt64LE(5n, 0);
    checked(libc.setsockopt(this.#fd, SOL_SOCKET, SO_RCVTIMEO, timeout, timeout.length), 'setsockopt');
  }

  /** Does all of them in order with one system call; throws what the first failure says, after all have been tried. */
  run(...requests: readonly NetlinkRequest[]): void {
    const first = this.#sequence + 1;
    this.#send(requests.map((request) => this.#encode(request, NLM_F_ACK)));
    const pending = new Map(requests.map((request, index) => [first + index, request]));
    let failure: Error | undefined;
    while (pending.size > 0) {
      for (const message of this.#receive()) {
        const request = pending.get(message.sequence);
        if (request === undefined || message.type !== NLMSG_ERROR) continue;
        pending.delete(message.sequence);
        failure ??= failureOf(message, request);
      }
    }
    if (failure !== undefined) throw failure;
  }

  /** Asks for one object: the first message of the answer. */
  get(request: NetlinkRequest): Buffer {
    this.#send([this.#encode(request, 0)]);
    for (;;) {
      for (const message of this.#receive()) {
        if (message.sequence !== this.#sequence) continue;
        if (message.type !== NLMSG_ERROR) return Buffer.from(message.payload);
        const failure = failureOf(message, request);
        if (failure !== undefined) throw failure;
      }
    }
  }

  /** Asks for all objects of a kind. A list that changed while the kernel wrote it comes back as it was read. */
  dump(request: NetlinkRequest): Buffer[] {
    this.#send([this.#encode(request, NLM_F_DUMP)]);
    const objects: Buffer[] = [];
    for (;;) {
      for (const message of this.#receive()) {
        if (message.sequence !== this.#sequence) continue;
        if (message.type === NLMSG_DONE) return objects;
        if (message.type === NLMSG_ERROR) {
          const failure = failureOf(message, request);
          if (failure !== undefined) throw failure;
        } else {
          objects.push(Buffer.from(message.payload));
        }
      }
    }
  }

  [Symbol.dispose](): void {
    libc.close(this.#fd);
  }

  #encode({ type, flags, payload }: NetlinkRequest, extra: number): Buffer {
    this.#sequence++;
    return encodeMessage({
      type,
      flags: NLM_F_REQUEST | flags | extra,
      sequence: this.#sequence,
      payload,
    });
  }

  #send(messages: Buffer[]): void {
    const data = Buffer.concat(messages);
    checked(libc.send(this.#fd, data, data.length, 0), 'send');
  }

  #receive(): Iterable<NetlinkMessage> {
    for (;;) {
      try {
        const length = checked(libc.recv(this.#fd, this.#buffer, RECEIVE, 0), 'recv');
        return decodeMessages(this.#buffer.subarray(0, length));
      } catch (error) {
        if (errnoCode(error) !== 'EINTR') throw error;
      }
    }
  }

  #set(level: number, option: number, value: number): void {
    const bytes = Buffer.alloc(4);
    bytes.writeInt32LE(value);
    // Kernels before 4.12 know no extended acknowledgement: errors are shorter there.
    libc.setsockopt(this.#fd, level, option, bytes, bytes.length);
  }
}

/** `struct nlmsgerr`: the error, the header of the request (CAP_ACK leaves the rest away), then attributes. */
function failureOf(message: NetlinkMessage, request: NetlinkRequest): Error | undefined {
  const errno = -message.payload.readInt32LE(0);
  if (errno === 0) return undefined;
  let words: Attributes = new Map();
  if ((message.flags & NLM_F_ACK_TLVS) !== 0) words = decodeAttributes(message.payload.subarray(4 + 16));
  return systemError(errno, request.what, undefined, decodeText(words.get(NLMSGERR_ATTR_MSG)));
}
