/** hull-monitor's frames: src/runtime/monitor/protocol.md. */
export const FRAME = {
  stdin: 0x00,
  stdout: 0x01,
  stderr: 0x02,
  attach: 0x10,
  start: 0x11,
  resize: 0x12,
  hello: 0x20,
  started: 0x21,
  failed: 0x22,
  exit: 0x23,
  dropped: 0x24,
} as const;

export const ATTACH_OUTPUT = 1;
export const ATTACH_STDIN = 2;

const HEADER_SIZE = 8;
const EMPTY = Buffer.alloc(0);

export function frameHeader(type: number, length: number): Buffer {
  const header = Buffer.alloc(HEADER_SIZE);
  header[0] = type;
  header.writeUInt32BE(length, 4);
  return header;
}

export function encodeFrame(type: number, payload: Buffer = EMPTY): Buffer {
  return Buffer.concat([frameHeader(type, payload.length), payload]);
}

/** Cuts a byte stream into frames. Output is handed on piece by piece as it comes, every other payload whole. */
export class FrameParser {
  readonly #onFrame: (type: number, payload: Buffer) => void;
  readonly #header = Buffer.alloc(HEADER_SIZE);
  #headerLength = 0;
  #left = 0;
  #parts: Buffer[] = [];

  constructor(onFrame: (type: number, payload: Buffer) => void) {
    this.#onFrame = onFrame;
  }

  push(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#headerLength < HEADER_SIZE) {
        const copied = chunk.copy(
          this.#header,
          this.#headerLength,
          at,
          at + HEADER_SIZE - this.#headerLength,
        );
        this.#headerLength += copied;
        at += copied;
        if (this.#headerLength < HEADER_SIZE) return;
        this.#left = this.#header.readUInt32BE(4);
        if (this.#left === 0) this.#finish(EMPTY);
        continue;
      }
      const piece = chunk.subarray(at, at + this.#left);
      at += piece.length;
      this.#left -= piece.length;
      if (this.#isOutput) {
        const type = this.#type;
        if (this.#left === 0) this.#headerLength = 0;
        this.#onFrame(type, piece);
      } else {
        this.#parts.push(piece);
        if (this.#left === 0) this.#finish(Buffer.concat(this.#parts));
      }
    }
  }

  get #type(): number {
    return this.#header[0] ?? 0;
  }

  get #isOutput(): boolean {
    return this.#type === FRAME.stdout || this.#type === FRAME.stderr;
  }

  #finish(payload: Buffer): void {
    const type = this.#type;
    this.#headerLength = 0;
    this.#parts = [];
    this.#onFrame(type, payload);
  }
}
