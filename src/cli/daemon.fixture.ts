import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Readable } from 'node:stream';
import type { TestContext } from 'node:test';
import { CLIENT_VERSION } from './client-version.ts';
import { runProgram } from './program.ts';
import type { Terminal } from './terminal.ts';

/** Keeps what is written, and has no terminal. */
export class Capture implements Terminal {
  stdout = '';
  stderr = '';
  readonly #input: string;

  constructor(input: string) {
    this.#input = input;
  }
  out(text: string | Uint8Array): void {
    this.stdout += typeof text === 'string' ? text : Buffer.from(text).toString();
  }
  err(text: string | Uint8Array): void {
    this.stderr += typeof text === 'string' ? text : Buffer.from(text).toString();
  }
  isTerminal(): boolean {
    return false;
  }
  size(): undefined {
    return undefined;
  }
  stdin(): NodeJS.ReadStream {
    return Readable.from([Buffer.from(this.#input)]) as unknown as NodeJS.ReadStream;
  }
  async makeRaw(): Promise<() => void> {
    return () => undefined;
  }
}

export interface Daemon {
  host: string;
  /** `METHOD /path?query` of what was asked, in order. */
  asked: string[];
  bodies: string[];
}

export type Answer = (request: IncomingMessage, response: ServerResponse) => void;

export const json =
  (status: number, value: unknown): Answer =>
  (_, response) => {
    response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(value));
  };

/** A server that answers `METHOD /path` (without version and query) from a table, and hijacked streams with `stream`. */
export async function daemon(
  t: TestContext,
  answers: Record<string, Answer>,
  stream: Buffer = Buffer.alloc(0),
): Promise<Daemon> {
  const directory = mkdtempSync(path.join(tmpdir(), 'hull-cli-'));
  const socket = path.join(directory, 's');
  const state: Daemon = { host: `unix://${socket}`, asked: [], bodies: [] };
  const note = (request: IncomingMessage): string => {
    state.asked.push(`${request.method} ${request.url?.replace(/^\/v[\d.]+/, '')}`);
    return `${request.method} ${request.url?.replace(/^\/v[\d.]+/, '').replace(/\?.*/, '')}`;
  };
  const server: Server = createServer((request, response) => {
    const route = note(request);
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      state.bodies.push(Buffer.concat(chunks).toString());
      (answers[route] ?? json(404, { message: `page not found: ${route}` }))(request, response);
    });
  });
  server.on('upgrade', (request: IncomingMessage, socket) => {
    note(request);
    socket.write(
      'HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.multiplexed-stream\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n',
    );
    const input: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => input.push(chunk));
    const finish = (): void => {
      const echoed = Buffer.concat(input);
      const header = Buffer.alloc(8);
      header[0] = 1;
      header.writeUInt32BE(echoed.length, 4);
      socket.end(Buffer.concat([stream, ...(echoed.length > 0 ? [header, echoed] : [])]));
    };
    if (request.url?.includes('stdin=1')) socket.on('end', finish);
    else finish();
  });
  await new Promise<void>((resolve) => {
    server.listen(socket, resolve);
  });
  t.after(() => {
    server.closeAllConnections();
    server.close();
    rmSync(directory, { recursive: true, force: true });
  });
  return state;
}

export async function hull(
  state: { host: string },
  argv: string[],
  input = '',
  env: Record<string, string> = {},
): Promise<{ code: number; stdout: string; stderr: string }> {
  const terminal = new Capture(input);
  const code = await runProgram(argv, {
    version: CLIENT_VERSION,
    terminal,
    env: { HULL_HOST: state.host, PATH: '/bin', ...env },
  });
  return { code, stdout: terminal.stdout, stderr: terminal.stderr };
}
