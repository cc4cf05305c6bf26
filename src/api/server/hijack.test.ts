import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { PassThrough } from 'node:stream';
import { after, before, test } from 'node:test';
import { Logger } from '#/base/log.ts';
import { readToEnd } from '#/base/streams.ts';
import type { Attachment } from '#/runtime/runtime.ts';
import { ApiServer } from './api-server.ts';
import type { Engine } from './engine.ts';

/** Stands for `cat`: what goes in comes out, and the end of one is the end of the other. */
class Cat implements Attachment {
  readonly stdin = new PassThrough();
  readonly stdout = this.stdin;
  readonly stderr = new PassThrough();
  disposed = false;

  constructor() {
    this.stdin.on('end', () => this.stderr.end());
  }

  [Symbol.dispose](): void {
    this.disposed = true;
  }
}

let cat = new Cat();
let terminal = false;
const streams = {
  attach: async () => ({ terminal, attachment: Promise.resolve(cat) }),
};
const api = new ApiServer({ engine: { streams } as unknown as Engine, logger: new Logger('fatal') });
const directory = mkdtempSync(path.join(os.tmpdir(), 'hull-hijack-'));
const socketPath = path.join(directory, 's');

before(async () => {
  const server = await api.createServer();
  await new Promise<void>((resolve) => server.listen(socketPath, resolve));
});
after(async () => {
  await api.stop(100);
  rmSync(directory, { recursive: true });
});

/** Sends an attach request and waits for the head of its answer. */
async function attach(
  headers: string,
  version = '1.45',
  query = '',
): Promise<{ socket: Socket; head: string }> {
  cat = new Cat();
  const socket = connect({ path: socketPath, allowHalfOpen: true });
  socket.write(
    `POST /v${version}/containers/x/attach?stream=1&stdin=1&stdout=1&stderr=1${query} HTTP/1.1\r\nHost: x\r\n${headers}\r\n`,
  );
  const chunk = await new Promise<unknown>((resolve) => socket.once('data', resolve));
  return { socket, head: String(chunk) };
}

const UPGRADE = 'Connection: Upgrade\r\nUpgrade: tcp\r\n';

test('attach answers 101 with the media type of the client’s version', async () => {
  terminal = false;
  const { socket, head } = await attach(UPGRADE);
  assert.match(head, /^HTTP\/1\.1 101 UPGRADED\r\n/);
  assert.match(head, /Content-Type: application\/vnd\.docker\.multiplexed-stream\r\n/);
  assert.match(head, /\r\n\r\n$/);
  socket.destroy();
  const older = await attach(UPGRADE, '1.41');
  assert.match(older.head, /Content-Type: application\/vnd\.docker\.raw-stream\r\n/);
  older.socket.destroy();
});

test('input that ends by half-close still gets all its output, in frames', async () => {
  terminal = false;
  const { socket } = await attach(UPGRADE);
  const rest = readToEnd(socket as AsyncIterable<Buffer>);
  // What looks like HTTP is input like any other.
  socket.end('GET / HTTP/1.1\r\n\r\n');
  const output = await rest;
  assert.deepEqual([...output.subarray(0, 8)], [1, 0, 0, 0, 0, 0, 0, 18]);
  assert.equal(output.subarray(8).toString(), 'GET / HTTP/1.1\r\n\r\n');
  assert.equal(cat.disposed, true);
});

test('a client that asks for no upgrade gets 200 and the same stream', async () => {
  terminal = true;
  const { socket, head } = await attach('Content-Length: 0\r\n', '1.45');
  assert.match(head, /^HTTP\/1\.1 200 OK\r\nContent-Type: application\/vnd\.docker\.raw-stream\r\n/);
  socket.write('hello');
  const data = await new Promise((resolve) => socket.once('data', resolve));
  assert.equal(String(data), 'hello');
  socket.destroy();
});

test('detach keys end a terminal’s attach and leave the process its input', async () => {
  terminal = true;
  const { socket } = await attach(UPGRADE, '1.45', '&detachKeys=a,b');
  const rest = readToEnd(socket as AsyncIterable<Buffer>);
  socket.write('xaabc');
  assert.equal((await rest).toString(), 'xa');
  assert.equal(cat.stdin.writableEnded, false);
  assert.equal(cat.disposed, true);
  socket.destroy();
});

test('a client that goes away lets go of the process', async () => {
  terminal = false;
  const { socket } = await attach(UPGRADE);
  socket.destroy();
  while (!cat.disposed) await new Promise(setImmediate);
});
