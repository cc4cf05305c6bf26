import { createHash } from 'node:crypto';
import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { invalid } from '#/base/errors.ts';
import type { Exchange } from './exchange.ts';
import { commonHeaders, takeSocket } from './hijack.ts';
import { frame, FrameReader, OPCODES } from './websocket-frames.ts';

/** RFC 6455, section 1.3. */
const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
const VERSION = '13';
/** RFC 6455, section 7.4.1. */
const NORMAL = 1000;
const PROTOCOL_ERROR = 1002;

/** Makes a websocket of a request's connection; throws `invalid` when the client did not ask for one. */
export function acceptWebSocket(exchange: Exchange, payload: 'text' | 'binary'): Duplex {
  const { upgrade, 'sec-websocket-key': key, 'sec-websocket-version': version } = exchange.request.headers;
  if (upgrade?.toLowerCase() !== 'websocket' || key === undefined || version !== VERSION) {
    throw invalid('not websocket protocol');
  }
  const accept = createHash('sha1')
    .update(key + GUID)
    .digest('base64');
  const socket = takeSocket(exchange);
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n${commonHeaders(exchange)}\r\n`,
  );
  return new WebSocketStream(socket, OPCODES[payload]);
}

/** The bytes in a websocket's messages, both ways; where one message ends and the next begins is not told. */
class WebSocketStream extends Duplex {
  readonly #socket: Socket;
  readonly #opcode: number;
  readonly #reader = new FrameReader();

  #closing = NORMAL;

  constructor(socket: Socket, opcode: number) {
    super();
    this.#socket = socket;
    this.#opcode = opcode;
    socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    socket.on('end', () => this.#leave(NORMAL));
    socket.on('close', () => this.destroy());
  }

  override _read(): void {
    this.#socket.resume();
  }

  override _write(chunk: Buffer, _encoding: string, done: (error?: Error | null) => void): void {
    this.#socket.write(frame(this.#opcode, chunk), done);
  }

  override _final(done: (error?: Error | null) => void): void {
    const payload = Buffer.alloc(2);
    payload.writeUInt16BE(this.#closing);
    this.#socket.write(frame(OPCODES.close, payload), () => done());
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#socket.destroySoon();
    done(error);
  }

  #receive(chunk: Buffer): void {
    try {
      for (const { kind, payload } of this.#reader.push(chunk)) {
        if (kind === 'ping') this.#socket.write(frame(OPCODES.pong, payload));
        else if (kind === 'close') return this.#leave(NORMAL);
        else if (!this.push(payload)) this.#socket.pause();
      }
    } catch {
      this.#leave(PROTOCOL_ERROR);
    }
  }

  /** Whoever closed reads no more; what it sent before is still to be read here. */
  #leave(code: number): void {
    this.#closing = code;
    this.#socket.removeAllListeners('data').resume();
    this.push(null);
    this.end();
  }
}
