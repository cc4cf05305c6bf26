import { createConnection, type Socket } from 'node:net';
import { getSystemErrorMap } from 'node:util';
import { internal } from '#/base/errors.ts';
import { encodeCall, encodeGuestFrame, GUEST_FRAME, GuestFrameParser } from './guest-frames.ts';

const EMPTY = Buffer.alloc(0);
/** Streams are numbered by 16 bits. */
const STREAM_LIMIT = 0x10000;

/** What the agent, or hull-vm, said no to; `code` as Node's own errors have it. */
export class GuestFailure extends Error {
  readonly code: string;

  constructor(errno: number, words: string) {
    const [code, meaning] = getSystemErrorMap().get(-errno) ?? [`E${errno}`, `error ${errno}`];
    super(words || meaning);
    this.code = code;
  }
}

export interface CallHandlers {
  event?: (kind: number, payload: Buffer) => void;
  /** A piece of a channel; call `taken` when as much again may come. An empty piece ends it. */
  data?: (channel: number, piece: Buffer, taken: () => void) => void;
  /** So many bytes more may be sent on a channel. */
  credit?: (channel: number, bytes: number) => void;
}

/** A call under way. */
export interface Call {
  /** The answer; rejects with a GuestFailure, or when the connection ends. */
  readonly result: Promise<Buffer>;
  /** Sends data; the caller keeps to the credit it has (FIRST_CREDIT at first). */
  send(channel: number, piece: Buffer): void;
  cancel(): void;
}

interface OpenCall {
  handlers: CallHandlers;
  resolve: (answer: Buffer) => void;
  reject: (error: Error) => void;
}

/** A connection to a guest's agent, through hull-vm or straight to its port. Any number of calls at a time. */
export class GuestConnection implements Disposable {
  readonly closed: Promise<void>;
  readonly #socket: Socket;
  readonly #parser = new GuestFrameParser();
  readonly #calls = new Map<number, OpenCall>();
  #next = 0;
  #ended = false;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', (chunk: Buffer) => this.#onData(chunk));
    socket.on('error', () => {});
    this.closed = new Promise((resolve) => {
      socket.on('close', () => {
        this.#end();
        resolve();
      });
    });
  }

  /** Connects to whoever listens at a socket's path. Rejects when nobody does. */
  static async connect(path: string): Promise<GuestConnection> {
    return new Promise((resolve, reject) => {
      const socket = createConnection(path);
      socket.once('error', reject);
      socket.once('connect', () => {
        socket.off('error', reject);
        resolve(new GuestConnection(socket));
      });
    });
  }

  call(method: number, body: Buffer = EMPTY, handlers: CallHandlers = {}): Call {
    const { promise: result, resolve, reject } = Promise.withResolvers<Buffer>();
    result.catch(() => {});
    if (this.#ended) reject(ended());
    const stream = this.#freeStream();
    const open: OpenCall = { handlers, resolve, reject };
    this.#calls.set(stream, open);
    this.#write(encodeCall(stream, method, body));
    return {
      result,
      send: (channel, piece) => {
        // What crosses the answer is for nobody.
        if (this.#calls.get(stream) !== open) return;
        this.#write(encodeGuestFrame(GUEST_FRAME.data, stream, Buffer.concat([Buffer.of(channel), piece])));
      },
      cancel: () => {
        if (this.#calls.get(stream) === open) this.#write(encodeGuestFrame(GUEST_FRAME.cancel, stream));
      },
    };
  }

  [Symbol.dispose](): void {
    this.#socket.destroy();
    this.#end();
  }

  #freeStream(): number {
    if (this.#calls.size >= STREAM_LIMIT) throw internal('Too many calls to one guest at a time');
    while (this.#calls.has(this.#next)) this.#next = (this.#next + 1) % STREAM_LIMIT;
    const stream = this.#next;
    this.#next = (stream + 1) % STREAM_LIMIT;
    return stream;
  }

  #write(bytes: Buffer): void {
    if (!this.#ended) this.#socket.write(bytes);
  }

  #onData(chunk: Buffer): void {
    try {
      for (const { type, stream, payload } of this.#parser.push(chunk)) this.#onFrame(type, stream, payload);
    } catch {
      // A guest that breaks the rules is no longer heard.
      this.#socket.destroy();
    }
  }

  #onFrame(type: number, stream: number, payload: Buffer): void {
    const call = this.#calls.get(stream);
    if (call === undefined) return;
    const { handlers } = call;
    switch (type) {
      case GUEST_FRAME.data: {
        const channel = payload.readUInt8(0);
        const piece = payload.subarray(1);
        const taken = (): void => {
          if (piece.length > 0) this.#grant(stream, channel, piece.length);
        };
        if (handlers.data === undefined) taken();
        else handlers.data(channel, piece, taken);
        break;
      }
      case GUEST_FRAME.credit:
        handlers.credit?.(payload.readUInt8(0), payload.readUInt32BE(1));
        break;
      case GUEST_FRAME.event:
        handlers.event?.(payload.readUInt8(0), payload.subarray(1));
        break;
      case GUEST_FRAME.result: {
        this.#calls.delete(stream);
        const errno = payload.readUInt32BE(0);
        if (errno === 0) call.resolve(payload.subarray(4));
        else call.reject(new GuestFailure(errno, payload.toString('utf8', 4)));
        break;
      }
      default:
        throw new Error(`A guest sent a frame of unknown type ${type}`);
    }
  }

  #grant(stream: number, channel: number, bytes: number): void {
    if (!this.#calls.has(stream)) return;
    const payload = Buffer.alloc(5);
    payload.writeUInt8(channel, 0);
    payload.writeUInt32BE(bytes, 1);
    this.#write(encodeGuestFrame(GUEST_FRAME.credit, stream, payload));
  }

  #end(): void {
    this.#ended = true;
    const calls = [...this.#calls.values()];
    this.#calls.clear();
    for (const { reject } of calls) reject(ended());
  }
}

function ended(): Error {
  return internal('The microVM has ended');
}
