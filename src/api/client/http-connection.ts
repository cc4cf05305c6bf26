import type { Duplex } from 'node:stream';
import { ByteReader } from './byte-reader.ts';

/**
 * HTTP/1.1 straight over a socket. Loading `node:http` costs 13 ms of a command's 45 (median, 2-core host), `node:net`
 * alone 4: and Docker's hijacked streams, which begin as a response and go on as a bare socket, are simpler this way.
 */
export interface ResponseHead {
  status: number;
  reason: string;
  /** Keys in lower case. */
  headers: Map<string, string>;
}

export class HttpConnection {
  readonly socket: Duplex;
  readonly reader: ByteReader;
  /** False once a body had no end but the connection's, or the server said so. */
  reusable = true;

  constructor(socket: Duplex) {
    this.socket = socket;
    this.reader = new ByteReader(socket);
  }

  async readHead(): Promise<ResponseHead> {
    for (;;) {
      const text = await this.reader.readUntil('\r\n\r\n');
      if (text === undefined) {
        // With TLS 1.3 a client's certificate is looked at after the handshake, and some servers refuse it without a word.
        const hint = 'encrypted' in this.socket ? ': does it know the authority of your certificate?' : '';
        throw new Error(`the server closed the connection before it answered${hint}`);
      }
      const head = parseHead(text);
      // 100 Continue and its like announce the real answer.
      if (head.status >= 200 || head.status === 101) return head;
    }
  }

  /** The response's body; reading to its end leaves the connection ready for the next request. */
  async *body(head: ResponseHead, method: string): AsyncGenerator<Buffer, void, undefined> {
    if (head.headers.get('connection')?.toLowerCase() === 'close') this.reusable = false;
    if (method === 'HEAD' || head.status === 204 || head.status === 304) return;
    if (head.headers.get('transfer-encoding')?.toLowerCase() === 'chunked') {
      yield* this.#chunked();
      return;
    }
    const length = head.headers.get('content-length');
    if (length !== undefined) {
      yield* this.#exactly(Number(length));
      return;
    }
    this.reusable = false;
    yield* this.reader;
  }

  async *#exactly(length: number): AsyncGenerator<Buffer, void, undefined> {
    let left = length;
    while (left > 0) {
      const chunk = await this.reader.read();
      if (chunk === undefined) throw new Error('unexpected EOF');
      if (chunk.length > left) this.reader.unread(chunk.subarray(left));
      const part = chunk.subarray(0, left);
      left -= part.length;
      yield part;
    }
  }

  async *#chunked(): AsyncGenerator<Buffer, void, undefined> {
    for (;;) {
      const line = await this.reader.readUntil('\r\n');
      if (line === undefined) throw new Error('unexpected EOF');
      const size = Number.parseInt(line, 16);
      if (Number.isNaN(size)) throw new Error(`invalid chunk size "${line}"`);
      if (size === 0) break;
      yield* this.#exactly(size);
      await this.reader.readUntil('\r\n');
    }
    // Trailers are read past, unused, down to the empty line.
    for (;;) {
      const trailer = await this.reader.readUntil('\r\n');
      if (trailer === undefined || trailer === '') return;
    }
  }
}

function parseHead(text: string): ResponseHead {
  const lines = text.split('\r\n');
  const match = /^HTTP\/1\.[01] (\d{3}) ?(.*)$/.exec(lines[0] ?? '');
  if (!match) throw new Error(`malformed HTTP response "${(lines[0] ?? '').slice(0, 40)}"`);
  const headers = new Map<string, string>();
  for (const line of lines.slice(1)) {
    const colon = line.indexOf(':');
    if (colon > 0) headers.set(line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim());
  }
  return { status: Number(match[1]), reason: match[2] ?? '', headers };
}
