/** What a client sends in frames, taken apart; data comes in the pieces that it arrives in. */
export type FrameEvent = { kind: 'data' | 'ping' | 'close'; payload: Buffer };

export class FrameError extends Error {}

export const OPCODES = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;
const FINAL = 0x80;
const MASKED = 0x80;
const RESERVED = 0x70;
const FIRST_CONTROL = 8;
/** RFC 6455, section 5.5: control frames are no longer than this. */
const CONTROL_LIMIT = 125;
const MASK_BYTES = 4;

/** A server's frame (RFC 6455, section 5.2): whole, and not masked. */
export function frame(opcode: number, payload: Buffer): Buffer {
  const { length } = payload;
  const header = Buffer.alloc(length < 126 ? 2 : length < 65_536 ? 4 : 10);
  header[0] = FINAL | opcode;
  header[1] = length < 126 ? length : length < 65_536 ? 126 : 127;
  if (header.length === 4) header.writeUInt16BE(length, 2);
  if (header.length === 10) header.writeBigUInt64BE(BigInt(length), 2);
  return Buffer.concat([header, payload]);
}

interface Header {
  opcode: number;
  mask: Buffer;
  left: number;
  /** Bytes unmasked so far. */
  at: number;
}

/** Reads a client's frames in bounded memory: only headers and control frames are ever held back. */
export class FrameReader {
  #pending: Buffer = Buffer.alloc(0);
  #header: Header | undefined;
  #control: Buffer[] = [];

  /** Throws FrameError at what the protocol forbids. */
  push(chunk: Buffer): FrameEvent[] {
    const events: FrameEvent[] = [];
    this.#pending = this.#pending.length === 0 ? chunk : Buffer.concat([this.#pending, chunk]);
    for (;;) {
      this.#header ??= this.#takeHeader();
      const header = this.#header;
      if (header === undefined) return events;
      const piece = this.#pending.subarray(0, header.left);
      if (piece.length === 0 && header.left > 0) return events;
      this.#pending = this.#pending.subarray(piece.length);
      const payload = unmask(piece, header);
      header.left -= piece.length;
      if (header.left === 0) this.#header = undefined;
      const event = this.#eventOf(header, payload);
      if (event !== undefined) events.push(event);
    }
  }

  #eventOf({ opcode, left }: Header, payload: Buffer): FrameEvent | undefined {
    if (opcode < FIRST_CONTROL) return payload.length > 0 ? { kind: 'data', payload } : undefined;
    this.#control.push(payload);
    if (left > 0) return undefined;
    const whole = Buffer.concat(this.#control);
    this.#control = [];
    if (opcode === OPCODES.pong) return undefined;
    return { kind: opcode === OPCODES.ping ? 'ping' : 'close', payload: whole };
  }

  #takeHeader(): Header | undefined {
    const bytes = this.#pending;
    const [first = 0, second = 0] = bytes;
    if (bytes.length < 2) return undefined;
    const opcode = first & 0x0f;
    const short = second & 0x7f;
    check(first, second, opcode, short);
    const extended = short < 126 ? 0 : short === 126 ? 2 : 8;
    const size = 2 + extended + MASK_BYTES;
    if (bytes.length < size) return undefined;
    const left =
      extended === 0 ? short : extended === 2 ? bytes.readUInt16BE(2) : Number(bytes.readBigUInt64BE(2));
    const mask = Buffer.from(bytes.subarray(2 + extended, size));
    this.#pending = bytes.subarray(size);
    return { opcode, mask, left, at: 0 };
  }
}

function check(first: number, second: number, opcode: number, length: number): void {
  if ((first & RESERVED) !== 0) throw new FrameError('reserved bits are set');
  if ((second & MASKED) === 0) throw new FrameError('a client must mask its frames');
  if (!Object.values<number>(OPCODES).includes(opcode)) throw new FrameError(`unknown opcode ${opcode}`);
  if (opcode >= FIRST_CONTROL && ((first & FINAL) === 0 || length > CONTROL_LIMIT)) {
    throw new FrameError('a control frame must be short and whole');
  }
}

function unmask(piece: Buffer, header: Header): Buffer {
  const plain = Buffer.allocUnsafe(piece.length);
  for (let index = 0; index < piece.length; index++) {
    plain[index] = (piece[index] ?? 0) ^ (header.mask[(header.at + index) % MASK_BYTES] ?? 0);
  }
  header.at += piece.length;
  return plain;
}
