import assert from 'node:assert/strict';
import net from 'node:net';

import { PATIENCE, request, type RawReply, until } from '../daemons.ts';
import { faults } from './description.ts';

/**
 * One-line checks of the API: `await api.post('/containers/foo/kill').is(409, { message: /is not running/ })`.
 *
 * A pattern is matched in part: an object's listed keys, arrays element by element, a RegExp against a string, a function as a
 * predicate, anything else by deep equality.
 */
export type Pattern =
  | RegExp
  | string
  | number
  | boolean
  | null
  | undefined
  | ((value: unknown) => boolean)
  | { [key: string]: Pattern }
  | Pattern[];

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** The oldest engine compared with speaks 1.41 (Docker 20.10), so both are asked in that version's words. */
export const API_VERSION = '/v1.41';

export class Api {
  readonly socket: string;
  /** Whether every answer is held against the API description of the newest version. */
  readonly #described: boolean;

  constructor(socket: string, { described = false }: { described?: boolean } = {}) {
    this.socket = socket;
    this.#described = described;
  }

  get(path: string): Reply {
    return this.#send('GET', path);
  }
  head(path: string): Reply {
    return this.#send('HEAD', path);
  }
  delete(path: string): Reply {
    return this.#send('DELETE', path);
  }
  post(path: string, body?: unknown): Reply {
    return this.#send('POST', path, body);
  }
  put(path: string, body?: unknown): Reply {
    return this.#send('PUT', path, body);
  }

  #send(method: string, path: string, body?: unknown): Reply {
    const raw = Buffer.isBuffer(body) || typeof body === 'string';
    const reply = request(this.socket, method, versioned(path), {
      body: raw ? body : body === undefined ? undefined : JSON.stringify(body),
      headers: {
        Host: 'engine',
        ...(body === undefined ? {} : { 'Content-Type': raw ? 'application/x-tar' : 'application/json' }),
      },
    });
    return new Reply(
      `${method} ${path}`,
      this.#described ? reply.then((found) => this.#checked(method, path, found)) : reply,
    );
  }

  /** What a GET answers depends on the version: it is asked once more, without one, which means the newest. */
  async #checked(method: string, path: string, reply: RawReply): Promise<RawReply> {
    const newest = method === 'GET' ? unversioned(path) : path;
    if (!isDocument(reply) || STREAMS.test(path)) return reply;
    const again = method === 'GET' ? await request(this.socket, method, newest) : reply;
    if (!isDocument(again)) return reply;
    const { status, body } = again;
    const wrong = faults(method, unversioned(path), status, parse(body.toString()));
    assert.deepEqual(wrong, [], `${method} ${path} ${status} is not as the API description has it`);
    return reply;
  }

  /** Creates a container (busybox unless the body says otherwise); its id. */
  async create(body: Record<string, unknown> = {}, name?: string): Promise<string> {
    const query = name === undefined ? '' : `?name=${name}`;
    const created = await this.post(`/containers/create${query}`, { Image: 'busybox', ...body }).is(201);
    return field(created, 'Id');
  }

  /** Creates and starts a container that runs a shell line. */
  async run(line: string, body: Record<string, unknown> = {}, name?: string): Promise<string> {
    const id = await this.create({ Cmd: ['sh', '-c', line], ...body }, name);
    await this.post(`/containers/${id}/start`).is(204);
    return id;
  }

  /** Waits until the container has written something: it has set its traps, say. */
  async spoke(id: string): Promise<void> {
    await until(`${id} says something`, async () => {
      const { body } = await this.get(`/containers/${id}/logs?stdout=1&tail=1`).reply();
      return body.length > 0;
    });
  }

  /** Runs a shell line to its end; its exit code and what it wrote. The container is removed. */
  async output(
    line: string,
    body: Record<string, unknown> = {},
  ): Promise<{ code: number; stdout: string; stderr: string }> {
    const id = await this.run(line, body);
    const code = Number(field(await this.post(`/containers/${id}/wait`).is(200), 'StatusCode'));
    const logs = demultiplex((await this.get(`/containers/${id}/logs?stdout=1&stderr=1`).reply()).body);
    await this.delete(`/containers/${id}?force=1&v=1`).is(204);
    return { code, ...logs };
  }

  /** Sends a request by hand and keeps the connection, for attach, exec and event streams. */
  async raw(
    method: string,
    path: string,
    options: { body?: unknown; upgrade?: boolean } = {},
  ): Promise<RawConnection> {
    const body = options.body === undefined ? '' : JSON.stringify(options.body);
    const socket = net.connect({ path: this.socket, allowHalfOpen: true });
    socket.write(
      [
        `${method} ${versioned(path)} HTTP/1.1`,
        'Host: engine',
        ...(options.upgrade === true ? ['Connection: Upgrade', 'Upgrade: tcp'] : []),
        ...(body === ''
          ? ['Content-Length: 0']
          : ['Content-Type: application/json', `Content-Length: ${body.length}`]),
        '',
        body,
      ].join('\r\n'),
    );
    const connection = new RawConnection(socket);
    await connection.headersRead;
    return connection;
  }
}

function versioned(path: string): string {
  return /^\/(v\d|_ping|!)/.test(path) ? path.replace(/^\/!/, '/') : API_VERSION + path;
}

/** Several documents in one answer; they have no schema. */
const STREAMS = /\/(events|load|create\?fromSrc|bootstrap)/;

function isDocument({ headers, body }: RawReply): boolean {
  return headers['content-type'] === 'application/json' && body.length > 0;
}

function unversioned(path: string): string {
  return path.replace(/^\/!/, '/').replace(/^\/v[\d.]+\//, '/');
}

export class Reply {
  readonly #what: string;
  readonly #reply: Promise<RawReply>;

  constructor(what: string, reply: Promise<RawReply>) {
    this.#what = what;
    this.#reply = reply;
  }

  reply(): Promise<RawReply> {
    return this.#reply;
  }

  /** The status is one of these and the body matches; the decoded body. */
  async is(status: number | number[], pattern?: Pattern): Promise<Json> {
    const reply = await this.#reply;
    const text = reply.body.toString();
    const said = `${this.#what}: ${reply.status} ${text.slice(0, 500)}`;
    assert.ok([status].flat().includes(reply.status), `expected ${String(status)}, got ${said}`);
    const type = reply.headers['content-type'] ?? '';
    const value = type.startsWith('application/json') && text !== '' ? parse(text) : text;
    if (pattern !== undefined) {
      const wrong = mismatch(value, pattern);
      assert.ok(wrong === undefined, `${wrong}\n  in ${said}`);
    }
    return value;
  }

  async headers(status: number, pattern: Pattern): Promise<void> {
    const reply = await this.#reply;
    assert.equal(reply.status, status, this.#what);
    const wrong = mismatch(reply.headers, pattern);
    assert.ok(wrong === undefined, `${this.#what}: header ${wrong}`);
  }
}

/** A body of one JSON value, or of several (a progress stream): then their list. */
function parse(text: string): Json {
  try {
    return JSON.parse(text) as Json;
  } catch {
    return text
      .split('\n')
      .filter((line) => line.trim() !== '')
      .map((line) => JSON.parse(line) as Json);
  }
}

export function field(value: Json, ...path: (string | number)[]): string {
  let at: Json | undefined = value;
  for (const key of path) {
    at = Array.isArray(at)
      ? at[Number(key)]
      : typeof at === 'object' && at !== null
        ? at[String(key)]
        : undefined;
  }
  assert.ok(at !== undefined, `no field ${path.join('.')} in ${JSON.stringify(value).slice(0, 300)}`);
  return typeof at === 'string' ? at : JSON.stringify(at);
}

/** Where a value differs from a pattern, in words; undefined when it matches. */
export function mismatch(value: unknown, pattern: Pattern, at = 'body'): string | undefined {
  if (pattern instanceof RegExp) {
    const ok = typeof value === 'string' && pattern.test(value);
    return ok ? undefined : `${at} should match ${pattern}, is ${JSON.stringify(value)}`;
  }
  if (typeof pattern === 'function') {
    return pattern(value)
      ? undefined
      : `${at} is not as asked (${String(pattern)}): ${JSON.stringify(value)}`;
  }
  if (Array.isArray(pattern)) {
    if (!Array.isArray(value)) return `${at} should be a list, is ${JSON.stringify(value)}`;
    if (value.length !== pattern.length) {
      return `${at} should have ${pattern.length} elements, has ${value.length}: ${JSON.stringify(value)}`;
    }
    return pattern.map((each, index) => mismatch(value[index], each, `${at}[${index}]`)).find(Boolean);
  }
  if (typeof pattern === 'object' && pattern !== null) {
    if (typeof value !== 'object' || value === null)
      return `${at} should be an object, is ${JSON.stringify(value)}`;
    const object = value as Record<string, unknown>;
    return Object.entries(pattern)
      .map(([key, each]) => mismatch(object[key], each, `${at}.${key}`))
      .find(Boolean);
  }
  return value === pattern
    ? undefined
    : `${at} should be ${JSON.stringify(pattern)}, is ${JSON.stringify(value)}`;
}

/** Docker's multiplexed stream taken apart: 8 bytes of header (stream, three zeroes, length), then the data. */
export function demultiplex(body: Buffer): { stdout: string; stderr: string } {
  const parts: [Buffer[], Buffer[]] = [[], []];
  for (let at = 0; at + 8 <= body.length;) {
    const stream = body[at] === 2 ? 1 : 0;
    const length = body.readUInt32BE(at + 4);
    parts[stream].push(body.subarray(at + 8, at + 8 + length));
    at += 8 + length;
  }
  return { stdout: Buffer.concat(parts[0]).toString(), stderr: Buffer.concat(parts[1]).toString() };
}

const CONNECTION_TIMEOUT_MS = 60_000 * PATIENCE;

/** A connection whose headers are read and whose rest is bytes both ways. */
export class RawConnection {
  status = 0;
  headers: Record<string, string> = {};
  received: Buffer = Buffer.alloc(0);
  ended = false;
  readonly headersRead: Promise<void>;
  readonly #socket: net.Socket;
  readonly #waiting = new Set<() => void>();

  constructor(socket: net.Socket) {
    this.#socket = socket;
    socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    const close = (): void => {
      this.ended = true;
      this.#wake();
    };
    socket.on('end', close);
    socket.on('error', close);
    socket.on('close', close);
    this.headersRead = this.until('headers', () => this.status !== 0);
  }

  #receive(chunk: Buffer): void {
    this.received = Buffer.concat([this.received, chunk]);
    const end = this.received.indexOf('\r\n\r\n');
    if (this.status === 0 && end >= 0) {
      const [first = '', ...lines] = this.received.subarray(0, end).toString().split('\r\n');
      this.status = Number(first.split(' ')[1]);
      this.headers = Object.fromEntries(
        lines.map((line) => [
          line.slice(0, line.indexOf(':')).toLowerCase(),
          line.slice(line.indexOf(':') + 2),
        ]),
      );
      this.received = this.received.subarray(end + 4);
    }
    this.#wake();
  }

  #wake(): void {
    for (const wake of this.#waiting) wake();
  }

  /** Waits until the condition holds; fails when the other end closes first or nothing comes in time. */
  async until(what: string, condition: () => boolean): Promise<void> {
    const deadline = Date.now() + CONNECTION_TIMEOUT_MS;
    while (!condition()) {
      if (this.ended) throw new Error(`closed before ${what}; got: ${this.text}`);
      if (Date.now() > deadline) throw new Error(`no ${what} in time; got: ${this.text}`);
      await new Promise<void>((resolve) => {
        const wake = (): void => {
          clearTimeout(timer);
          this.#waiting.delete(wake);
          resolve();
        };
        const timer = setTimeout(wake, 200);
        this.#waiting.add(wake);
      });
    }
  }

  get text(): string {
    return this.received.toString();
  }
  async has(text: string | RegExp): Promise<void> {
    await this.until(`"${text}"`, () =>
      typeof text === 'string' ? this.text.includes(text) : text.test(this.text),
    );
  }
  /** All of it, once the other end has closed. */
  async end(): Promise<Buffer> {
    const deadline = Date.now() + CONNECTION_TIMEOUT_MS;
    while (!this.ended) {
      if (Date.now() > deadline) throw new Error(`not closed in time; got: ${this.text}`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    return this.received;
  }
  write(data: string): void {
    this.#socket.write(data);
  }
  /** Says "no more input" while still listening, as `echo x | docker exec -i` does. */
  halfClose(): void {
    this.#socket.end();
  }
  close(): void {
    this.#socket.destroy();
  }
}
