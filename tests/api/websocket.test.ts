import assert from 'node:assert/strict';
import net from 'node:net';

import { until } from '../daemons.ts';
import { API_VERSION, type Api } from './client.ts';
import { onEveryEngine } from './engines.ts';

/** A websocket by hand, for sockets that are files. */
class WebSocketByHand {
  status = 0;
  head = '';
  /** Payloads of data frames, one after the other. */
  received: Buffer = Buffer.alloc(0);
  opcodes: number[] = [];
  closed = false;
  #bytes: Buffer = Buffer.alloc(0);
  readonly #socket: net.Socket;

  constructor(api: Api, path: string, version = API_VERSION) {
    this.#socket = net.connect(api.socket);
    this.#socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    this.#socket.on('close', () => (this.closed = true));
    this.#socket.on('error', () => (this.closed = true));
    this.#socket.write(
      [
        `GET ${version}${path} HTTP/1.1`,
        'Host: engine',
        'Origin: http://engine',
        'Connection: Upgrade',
        'Upgrade: websocket',
        'Sec-WebSocket-Version: 13',
        // The example of RFC 6455.
        'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
        '\r\n',
      ].join('\r\n'),
    );
  }

  #receive(chunk: Buffer): void {
    this.#bytes = Buffer.concat([this.#bytes, chunk]);
    const end = this.#bytes.indexOf('\r\n\r\n');
    if (this.status === 0 && end >= 0) {
      this.head = this.#bytes.subarray(0, end).toString();
      this.status = Number(this.head.split(' ')[1]);
      this.#bytes = this.#bytes.subarray(end + 4);
    }
    while (this.status === 101 && this.#bytes.length >= 2) {
      const [first = 0, short = 0] = this.#bytes;
      const start = short < 126 ? 2 : 4;
      const length = short < 126 ? short : this.#bytes.readUInt16BE(2);
      if (this.#bytes.length < start + length) return;
      this.opcodes.push(first & 0x0f);
      if ((first & 0x0f) < 8)
        this.received = Buffer.concat([this.received, this.#bytes.subarray(start, start + length)]);
      this.#bytes = this.#bytes.subarray(start + length);
    }
  }

  /** One frame, masked with zeros. */
  send(text: string, opcode = 1): void {
    const payload = Buffer.from(text);
    this.#socket.write(
      Buffer.concat([Buffer.from([0x80 | opcode, 0x80 | payload.length, 0, 0, 0, 0]), payload]),
    );
  }

  async has(text: string): Promise<void> {
    await until(`"${text}"`, () => this.received.includes(text));
  }

  /** The connection has ended, in order. */
  async ends(): Promise<void> {
    await until('a close frame', () => this.opcodes.includes(8) || this.closed);
    this.#socket.end();
    await until('the connection ends', () => this.closed);
  }

  destroy(): void {
    this.#socket.destroy();
  }
}

const ALL = 'stream=1&stdin=1&stdout=1&stderr=1';

onEveryEngine('websocket', ({ check }) => {
  check('attach carries input and output, unframed and binary', async (api) => {
    const id = await api.create({ Cmd: ['cat'], OpenStdin: true, StdinOnce: true });
    const socket = new WebSocketByHand(api, `/containers/${id}/attach/ws?${ALL}`);
    await until('the handshake', () => socket.status === 101);
    assert.match(socket.head, /^Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK\+xOo=$/im);
    await api.post(`/containers/${id}/start`).is(204);
    socket.send('hello\n');
    await socket.has('hello\n');
    assert.equal(socket.received.toString(), 'hello\n');
    assert.equal(socket.opcodes[0], 2);
    socket.destroy();
    await api.delete(`/containers/${id}?force=1`).is(204);
  });
  check('both outputs come, and the end closes', async (api) => {
    const id = await api.create({ Cmd: ['sh', '-c', 'echo out; sleep 0.1; echo err >&2'] });
    const socket = new WebSocketByHand(api, `/containers/${id}/attach/ws?${ALL}`);
    await until('the handshake', () => socket.status === 101);
    await api.post(`/containers/${id}/start`).is(204);
    await socket.ends();
    assert.equal(socket.received.toString(), 'out\nerr\n');
  });
  check('the detach keys let go of a terminal', async (api) => {
    const id = await api.run('cat', { OpenStdin: true, Tty: true });
    const socket = new WebSocketByHand(api, `/containers/${id}/attach/ws?${ALL}&detachKeys=ctrl-a,q`);
    await until('the handshake', () => socket.status === 101);
    socket.send('typed\n');
    await socket.has('typed');
    socket.send('\u0001q');
    await socket.ends();
    await api.get(`/containers/${id}/json`).is(200, { State: { Running: true } });
  });
  check('logs of before come first', async (api) => {
    const id = await api.run('echo before');
    await api.post(`/containers/${id}/wait`).is(200);
    const socket = new WebSocketByHand(api, `/containers/${id}/attach/ws?logs=1&stdout=1`);
    await socket.has('before\n');
    socket.destroy();
  });
  check('what cannot be attached to, and what is no websocket, is refused', async (api) => {
    const socket = new WebSocketByHand(api, '/containers/nosuch/attach/ws?stream=1');
    await until('an answer', () => socket.status !== 0);
    assert.equal(socket.status, 404);
    socket.destroy();
    const id = await api.run('sleep 600');
    await api.get(`/containers/${id}/attach/ws?stream=1`).is(400);
  });
});
