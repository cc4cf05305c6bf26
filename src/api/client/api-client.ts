import type { Duplex } from 'node:stream';
import type { ByteReader } from './byte-reader.ts';
import { ConnectionError, type Endpoint } from './endpoint.ts';
import { HttpConnection, type ResponseHead } from './http-connection.ts';

/** The newest API version whose shapes this client knows. */
export const API_VERSION = '1.50';

export type Query = Record<string, string | number | boolean | readonly string[] | undefined>;

export interface RequestOptions {
  query?: Query | undefined;
  /** Sent as JSON. */
  body?: unknown;
  /** Sent chunked, as it comes. */
  upload?: AsyncIterable<Uint8Array>;
  headers?: Record<string, string>;
  /** Leave the version prefix out: `_ping` and our own routes. */
  unversioned?: boolean;
}

/** The daemon answered with an error; `message` carries Docker's prefix, as its clients show it. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  readonly status: number;
  /** The daemon's own words. */
  readonly detail: string;

  constructor(status: number, detail: string) {
    super(`Error response from daemon: ${detail}`);
    this.status = status;
    this.detail = detail;
  }
}

export interface ApiResponse {
  status: number;
  headers: Map<string, string>;
  body: AsyncIterable<Buffer>;
}

/** A connection that stopped being HTTP: bytes out through `socket`, bytes in through `reader`. */
export interface HijackedStream {
  socket: Duplex;
  reader: ByteReader;
  contentType: string;
}

export class ApiClient {
  readonly endpoint: Endpoint;
  readonly #headers: Record<string, string>;
  readonly #idle: Promise<HttpConnection>[] = [];
  #version: string;
  #negotiated = false;

  constructor(
    endpoint: Endpoint,
    options: { version?: string | undefined; headers?: Record<string, string> } = {},
  ) {
    this.endpoint = endpoint;
    this.#version = options.version ?? API_VERSION;
    this.#negotiated = options.version !== undefined;
    this.#headers = options.headers ?? {};
  }

  /** What requests are sent as. Before the first answer it is only a hope: see `negotiate`. */
  get version(): string {
    return this.#version;
  }

  /** Opens `count` connections ahead, so that requests that follow each other closely need not wait for them. */
  warm(count: number): void {
    for (let n = 0; n < count; n++) {
      const connection = this.#open();
      // Whoever takes it meets the failure.
      connection.catch(() => undefined);
      this.#idle.push(connection);
    }
  }

  /** Asks which version the daemon speaks. Needed only before a request whose body cannot be sent twice. */
  async negotiate(): Promise<void> {
    if (this.#negotiated) return;
    const response = await this.request('HEAD', '/_ping', { unversioned: true });
    this.#lower(response.headers.get('api-version'));
    this.#negotiated = true;
  }

  /** Sends a request and answers once its response head is here. Statuses of 400 and more throw an `ApiError`. */
  async request(method: string, path: string, options: RequestOptions = {}): Promise<ApiResponse> {
    if (options.upload) await this.negotiate();
    const version = this.#version;
    const connection = await this.#take();
    this.#send(connection, method, path, options);
    if (options.upload) void this.#upload(connection, options.upload);
    const head = await connection.readHead();
    const body = this.#release(connection, connection.body(head, method));
    if (head.status < 400) return { status: head.status, headers: head.headers, body };
    const error = await readError(head, body);
    if (this.#tooNew(error, version)) return this.request(method, path, options);
    throw error;
  }

  /** A request whose answer is one JSON document. */
  async json<T>(method: string, path: string, options?: RequestOptions): Promise<T> {
    const text = await this.text(method, path, options);
    return JSON.parse(text === '' ? 'null' : text) as T;
  }

  async text(method: string, path: string, options?: RequestOptions): Promise<string> {
    const { body } = await this.request(method, path, options);
    return readText(body);
  }

  /** A request that takes the connection over (attach, exec): 101 of those who upgrade, 200 of those who do not. */
  async hijack(method: string, path: string, options: RequestOptions = {}): Promise<HijackedStream> {
    const version = this.#version;
    const connection = await this.#take();
    const headers = { ...options.headers, Connection: 'Upgrade', Upgrade: 'tcp' };
    this.#send(connection, method, path, { ...options, headers });
    const head = await connection.readHead();
    if (head.status >= 400) {
      const error = await readError(head, this.#release(connection, connection.body(head, method)));
      if (this.#tooNew(error, version)) return this.hijack(method, path, options);
      throw error;
    }
    const contentType = head.headers.get('content-type') ?? '';
    return { socket: connection.socket, reader: connection.reader, contentType };
  }

  /** Ends the connections that wait for another request: nothing of the client keeps the process alive. */
  close(): void {
    for (const connection of this.#idle.splice(0)) {
      connection.then(
        ({ socket }) => socket.destroy(),
        () => undefined,
      );
    }
  }

  async #open(): Promise<HttpConnection> {
    return new HttpConnection(await this.endpoint.connect());
  }

  async #take(): Promise<HttpConnection> {
    for (;;) {
      const idle = this.#idle.pop();
      if (idle === undefined) return this.#open();
      const connection = await idle;
      if (!connection.socket.destroyed && !connection.socket.readableEnded) return connection;
    }
  }

  #send(connection: HttpConnection, method: string, path: string, options: RequestOptions): void {
    const prefix = options.unversioned ? '' : `/v${this.#version}`;
    let head = `${method} ${prefix}${path}${encodeQuery(options.query)} HTTP/1.1\r\nHost: api.moby.localhost\r\n`;
    head += `User-Agent: hull-client\r\n`;
    for (const [key, value] of Object.entries({ ...this.#headers, ...options.headers })) {
      head += `${key}: ${value}\r\n`;
    }
    if (options.upload) {
      connection.socket.write(`${head}Transfer-Encoding: chunked\r\n\r\n`, 'latin1');
      return;
    }
    if (options.body === undefined) {
      if (method === 'POST') head += 'Content-Length: 0\r\n';
      connection.socket.write(`${head}\r\n`, 'latin1');
      return;
    }
    const body = Buffer.from(JSON.stringify(options.body));
    head += `Content-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n`;
    connection.socket.write(Buffer.concat([Buffer.from(head, 'latin1'), body]));
  }

  async #upload(connection: HttpConnection, upload: AsyncIterable<Uint8Array>): Promise<void> {
    const { socket } = connection;
    try {
      for await (const chunk of upload) {
        if (socket.destroyed || !socket.writable) return;
        if (chunk.length === 0) continue;
        socket.cork();
        socket.write(`${chunk.length.toString(16)}\r\n`, 'latin1');
        socket.write(chunk);
        const more = socket.write('\r\n', 'latin1');
        socket.uncork();
        if (!more) await Promise.race([onceEvent(socket, 'drain'), onceEvent(socket, 'close')]);
      }
      socket.write('0\r\n\r\n', 'latin1');
    } catch (error) {
      socket.destroy(error instanceof Error ? error : new Error(String(error)));
    }
  }

  async *#release(connection: HttpConnection, body: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    let complete = false;
    try {
      yield* body;
      complete = true;
    } finally {
      if (complete && connection.reusable) this.#idle.push(Promise.resolve(connection));
      else connection.socket.destroy();
    }
  }

  /** An older daemon names the newest version it knows; from then on that is ours too. */
  #tooNew(error: ApiError, sentAs: string): boolean {
    const match = /client version \S+ is too new. Maximum supported API version is ([\d.]+)/.exec(
      error.detail,
    );
    if (!match) return false;
    if (!this.#negotiated) {
      this.#negotiated = true;
      this.#lower(match[1]);
    }
    // Another request in flight may have learnt it first.
    return sentAs !== this.#version;
  }

  #lower(theirs: string | undefined): void {
    if (theirs !== undefined && compareVersions(theirs, this.#version) < 0) this.#version = theirs;
  }
}

/** Orders API versions (`1.9` < `1.41`). */
export function compareVersions(a: string, b: string): number {
  const [majorA = 0, minorA = 0] = a.split('.').map(Number);
  const [majorB = 0, minorB = 0] = b.split('.').map(Number);
  return majorA - majorB || minorA - minorB;
}

export async function readText(body: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of body) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

async function readError(head: ResponseHead, body: AsyncIterable<Buffer>): Promise<ApiError> {
  const text = await readText(body);
  try {
    const decoded: unknown = JSON.parse(text);
    if (typeof decoded === 'object' && decoded !== null && 'message' in decoded) {
      return new ApiError(head.status, String(decoded.message).trimEnd());
    }
  } catch {
    // Not every server answers errors in JSON; the text itself is then the message.
  }
  return new ApiError(head.status, text.trim() || head.reason || `status ${head.status}`);
}

function encodeQuery(query: Query = {}): string {
  const parts: string[] = [];
  for (const [key, value] of Object.entries(query)) {
    if (value === undefined) continue;
    const values = typeof value === 'object' ? value : [value === true ? '1' : String(value)];
    for (const each of values) parts.push(`${key}=${encodeURIComponent(each)}`);
  }
  return parts.length === 0 ? '' : `?${parts.join('&')}`;
}

function onceEvent(socket: Duplex, event: string): Promise<void> {
  return new Promise((resolve) => {
    socket.once(event, () => resolve());
  });
}

export { ConnectionError };
