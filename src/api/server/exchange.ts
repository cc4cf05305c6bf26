import type { IncomingMessage, ServerResponse } from 'node:http';
import { readToEnd } from '#/base/streams.ts';
import { decodeBody } from './decoder.ts';
import { checkForJson, hasBody } from './content-type.ts';
import { decodeFilters } from './filters.ts';
import { writeAll } from './frames.ts';
import type { Query } from './query.ts';
import type { ApiVersion } from './version.ts';

/** No JSON body of the API comes near it. */
const BODY_LIMIT = 16 * 1024 * 1024;

/** One request and its answer. */
export class Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly version: ApiVersion;
  readonly query: Query;
  /** Aborted when the client goes away before its answer is complete. */
  readonly signal: AbortSignal;
  readonly #parameters: Record<string, string>;

  constructor(options: {
    request: IncomingMessage;
    response: ServerResponse;
    version: ApiVersion;
    query: Query;
    parameters: Record<string, string>;
    signal: AbortSignal;
  }) {
    this.request = options.request;
    this.response = options.response;
    this.version = options.version;
    this.query = options.query;
    this.signal = options.signal;
    this.#parameters = options.parameters;
  }

  /** A parameter of the route's path. */
  parameter(name: string): string {
    return this.#parameters[name] ?? '';
  }

  filters(accepted?: readonly string[]): Record<string, string[]> {
    return decodeFilters(this.query.text('filters'), accepted);
  }

  /** The JSON body as the structure `name` of the API description; without a body an empty one. */
  async body<T extends object>(name: string): Promise<T> {
    checkForJson(this.request);
    if (!hasBody(this.request)) return {} as T;
    const text = (await readToEnd(this.request, BODY_LIMIT)).toString('utf8');
    return decodeBody(name, text) as T;
  }

  json(status: number, value: unknown): void {
    const text = `${JSON.stringify(value)}\n`;
    this.response.writeHead(status, {
      'Content-Type': 'application/json',
      'Content-Length': Buffer.byteLength(text),
    });
    this.response.end(text);
  }

  text(status: number, value: string): void {
    this.response.writeHead(status, {
      'Content-Type': 'text/plain; charset=utf-8',
      'Content-Length': Buffer.byteLength(value),
    });
    this.response.end(value);
  }

  empty(status = 204): void {
    this.response.writeHead(status);
    this.response.end();
  }

  /** Sends the headers now; what follows may take its time. */
  begin(status: number, contentType: string): void {
    this.response.writeHead(status, { 'Content-Type': contentType });
    this.response.flushHeaders();
  }

  /**
   * One JSON object a line, each as it comes, at the client's pace; the headers come with the first. A failure before it is an error
   * answer, unless clients look for errors `inStream` only; later ones are the stream's last object, because the status is gone.
   */
  async jsonLines(
    values: AsyncIterable<object>,
    { errors = 'asStatus' }: { errors?: 'asStatus' | 'inStream' } = {},
  ): Promise<void> {
    const begin = (): void => {
      if (!this.response.headersSent) this.begin(200, 'application/json');
    };
    try {
      for await (const value of values) {
        begin();
        await writeAll(this.response, `${JSON.stringify(value)}\r\n`);
        if (this.signal.aborted) return;
      }
    } catch (error) {
      if (!this.response.headersSent && errors === 'asStatus') throw error;
      begin();
      const message = error instanceof Error ? error.message : String(error);
      await writeAll(this.response, `${JSON.stringify({ errorDetail: { message }, error: message })}\r\n`);
    }
    begin();
    this.response.end();
  }
}
