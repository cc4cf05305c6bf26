/** The frames between host and guest: protocol.md. */
export const GUEST_FRAME = {
  call: 0x01,
  body: 0x02,
  data: 0x03,
  credit: 0x04,
  control: 0x05,
  cancel: 0x06,
  event: 0x07,
  result: 0x08,
} as const;

export const METHOD = {
  configure: 0x01,
  run: 0x02,
  ping: 0x03,
  stats: 0x04,
  signalAll: 0x05,
  processes: 0x06,
  writeFile: 0x07,
  sync: 0x08,
  tree: 0x09,
  plant: 0x0a,
  memory: 0x0b,
  events: 0x0c,
  limit: 0x0d,
  suspend: 0x0e,
  resume: 0x0f,
  restore: 0x10,
  share: 0x11,
  // hull-vm answers these itself.
  started: 0x80,
  signal: 0x81,
  size: 0x82,
  checkpoint: 0x83,
} as const;

export const CHANNEL = { in: 0, out: 1, error: 2 } as const;
/** How much of a channel may be sent before the other side asks for more. */
export const FIRST_CREDIT = 65_536;
export const FRAME_LIMIT = 32_768;
const HEADER_SIZE = 8;

export interface GuestFrame {
  type: number;
  stream: number;
  payload: Buffer;
}

export function encodeGuestFrame(
  type: number,
  stream: number,
  payload: Uint8Array = Buffer.alloc(0),
): Buffer {
  const header = Buffer.alloc(HEADER_SIZE);
  header.writeUInt8(type, 0);
  header.writeUInt16BE(stream, 2);
  header.writeUInt32BE(payload.length, 4);
  return Buffer.concat([header, payload]);
}

/** A call with its body, in as many frames as that takes. */
export function encodeCall(stream: number, method: number, body: Buffer): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt8(method, 0);
  head.writeUInt32BE(body.length, 1);
  const first = body.subarray(0, FRAME_LIMIT - head.length);
  const frames = [encodeGuestFrame(GUEST_FRAME.call, stream, Buffer.concat([head, first]))];
  for (let at = first.length; at < body.length; at += FRAME_LIMIT)
    frames.push(encodeGuestFrame(GUEST_FRAME.body, stream, body.subarray(at, at + FRAME_LIMIT)));
  return Buffer.concat(frames);
}

/** Cuts a byte stream into frames. Throws at a length that no honest sender has. */
export class GuestFrameParser {
  #rest: Buffer = Buffer.alloc(0);

  *push(chunk: Buffer): Generator<GuestFrame> {
    let bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    while (bytes.length >= HEADER_SIZE) {
      const length = bytes.readUInt32BE(4);
      if (length > FRAME_LIMIT) throw new Error(`A frame of ${length} bytes is too long`);
      if (bytes.length < HEADER_SIZE + length) break;
      yield {
        type: bytes.readUInt8(0),
        stream: bytes.readUInt16BE(2),
        payload: Buffer.from(bytes.subarray(HEADER_SIZE, HEADER_SIZE + length)),
      };
      bytes = bytes.subarray(HEADER_SIZE + length);
    }
    this.#rest = Buffer.from(bytes);
  }
}
