import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { invalid, notFound } from '#/base/errors.ts';
import type { Logger } from '#/base/log.ts';
import type { Engine } from './engine.ts';
import { HULL_VERSION } from './engine-version.ts';
import { hasBody } from './content-type.ts';
import { Exchange } from './exchange.ts';
import { Query } from './query.ts';
import { Router } from './router.ts';
import { ROUTES } from './routes/all.ts';
import { statusOf } from './status.ts';
import { createTlsServer, type TlsFiles } from './tls.ts';
import { ApiVersion, checkVersion, NEWEST_VERSION, splitVersion } from './version.ts';

/** Headers of every answer, as Docker's middleware sets them. */
const COMMON_HEADERS: Readonly<Record<string, string>> = {
  'Api-Version': NEWEST_VERSION,
  Ostype: 'linux',
  Server: `Hull/${HULL_VERSION} (linux)`,
};

/** As much as Go's server reads of them (net/http, DefaultMaxHeaderBytes), and a minute for who sends them slowly. */
const HEADER_LIMITS = { maxHeaderSize: 1 << 20, headersTimeout: 60_000 };

export interface ApiServerOptions {
  engine: Engine;
  logger: Logger;
  /** Whether clients are told that there are experimental features. */
  experimental?: boolean;
}

/** Serves the Engine API to any number of listeners. */
export class ApiServer {
  readonly #engine: Engine;
  readonly #logger: Logger;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #router = new Router(ROUTES);
  /** Cancels what is still running when the daemon stops. */
  readonly #stopping = new AbortController();
  readonly #servers = new Set<Server>();
  /** Every open one: the servers themselves know neither those in a TLS handshake nor those that left HTTP. */
  readonly #connections = new Set<Socket>();
  #served = 0;

  constructor({ engine, logger, experimental = false }: ApiServerOptions) {
    this.#headers = { ...COMMON_HEADERS, 'Docker-Experimental': String(experimental) };
    this.#engine = engine;
    this.#logger = logger;
  }

  /** How many requests there have been, their ends counted too: while it stands still, nothing is asked. */
  get served(): number {
    return this.#served;
  }

  /** A server for one listener, over TLS when it is given; the caller makes it listen. */
  async createServer(tls?: TlsFiles): Promise<Server> {
    const options = { keepAliveTimeout: 0, requestTimeout: 0, ...HEADER_LIMITS };
    const listener = (request: IncomingMessage, response: ServerResponse): void => {
      void this.#serve(request, response);
    };
    const server =
      tls === undefined ? createServer(options, listener) : await createTlsServer(tls, options, listener);
    this.#servers.add(server);
    server.once('close', () => this.#servers.delete(server));
    server.on('connection', (connection) => {
      this.#connections.add(connection);
      connection.once('close', () => this.#connections.delete(connection));
    });
    return server;
  }

  /** Stops taking requests, cancels the waiting ones and lets the rest finish within the deadline; then no connection is left. */
  async stop(deadlineMs: number): Promise<void> {
    const closed = [...this.#servers].map((server) => new Promise((done) => server.close(done)));
    this.#stopping.abort();
    for (const server of this.#servers) server.closeIdleConnections();
    const timer = setTimeout(() => {
      for (const connection of this.#connections) connection.destroy();
    }, deadlineMs);
    await Promise.all(closed);
    clearTimeout(timer);
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const phases = this.#logger.phases('request');
    this.#served += 1;
    for (const [name, value] of Object.entries(this.#headers)) response.setHeader(name, value);
    try {
      await this.#dispatch(request, response);
    } catch (error) {
      this.#fail(request, response, error);
    }
    this.#served += 1;
    phases.done({ method: request.method, url: request.url, status: response.statusCode });
  }

  async #dispatch(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = request.url ?? '/';
    const at = url.indexOf('?');
    const { version, path } = splitVersion(decodePath(at < 0 ? url : url.slice(0, at)));
    const found = this.#router.find(request.method ?? 'GET', path);
    if (found === undefined) throw notFound('page not found');
    const exchange = new Exchange({
      request,
      response,
      version: version === undefined ? new ApiVersion() : checkVersion(version),
      query: new Query(at < 0 ? '' : url.slice(at)),
      parameters: found.parameters,
      signal: this.#signalOf(request, response),
    });
    await found.handler(exchange, this.#engine);
  }

  #signalOf(request: IncomingMessage, response: ServerResponse): AbortSignal {
    const controller = new AbortController();
    const { socket } = request;
    const stop = (): void => controller.abort();
    // A hijacked connection's answer never closes, and a kept connection outlives it: whichever is over first.
    const over = (): void => {
      if (!response.writableFinished) controller.abort();
      socket.off('close', over);
      response.off('close', over);
      this.#stopping.signal.removeEventListener('abort', stop);
    };
    socket.on('close', over);
    response.on('close', over);
    this.#stopping.signal.addEventListener('abort', stop, { once: true });
    return controller.signal;
  }

  #fail(request: IncomingMessage, response: ServerResponse, error: unknown): void {
    const { status, message } = statusOf(error);
    const summary = `Handler for ${request.method} ${request.url} returned error: ${message}`;
    // That a client went away fails what was being done for it, and is no fault of ours.
    if (status === 500 && !request.socket.destroyed) {
      this.#logger.error(summary, { stack: error instanceof Error ? error.stack : undefined });
    } else this.#logger.debug(summary);
    if (response.headersSent || response.destroyed || response.socket === null) {
      request.socket.destroy();
      return;
    }
    const text = status === 304 ? '' : `${JSON.stringify({ message })}\n`;
    response.statusCode = status;
    if (text !== '') {
      response.setHeader('Content-Type', 'application/json');
      response.setHeader('Content-Length', Buffer.byteLength(text));
    }
    // What is left of a body that nobody wants must not stand before the next request.
    if (hasBody(request) && !request.complete) response.setHeader('Connection', 'close');
    response.end(text);
    request.resume();
  }
}

function decodePath(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    throw invalid(`invalid URL escape in "${path}"`);
  }
}
