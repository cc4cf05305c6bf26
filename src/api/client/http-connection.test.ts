import assert from 'node:assert/strict';
import { duplexPair, PassThrough } from 'node:stream';
import { test } from 'node:test';
import { readText } from './api-client.ts';
import { ByteReader } from './byte-reader.ts';
import { HttpConnection } from './http-connection.ts';
import { demultiplex } from './multiplexed-stream.ts';

/** A connection that will be sent `pieces`, each on its own, and then ended. */
function answering(pieces: readonly string[]): HttpConnection {
  const [client, server] = duplexPair();
  const connection = new HttpConnection(client);
  void (async (): Promise<void> => {
    for (const piece of pieces) {
      server.write(piece, 'latin1');
      await new Promise((resolve) => {
        setImmediate(resolve);
      });
    }
    server.end();
  })();
  return connection;
}

async function read(pieces: readonly string[], method = 'GET'): Promise<[number, string, boolean]> {
  const connection = answering(pieces);
  const head = await connection.readHead();
  const text = await readText(connection.body(head, method));
  return [head.status, text, connection.reusable];
}

const CHUNKED =
  'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;ext=1\r\n world\r\n0\r\nTrailer: x\r\n\r\n';
const SIZED = 'HTTP/1.1 201 Created\r\ncontent-length: 5\r\n\r\nhello';

test('HttpConnection reads bodies of every kind, however they are cut', async () => {
  for (const text of [CHUNKED, SIZED]) {
    const expected = text === CHUNKED ? [200, 'hello world', true] : [201, 'hello', true];
    assert.deepEqual(await read([text]), expected);
    assert.deepEqual(await read(text.split('')), expected);
  }
  assert.deepEqual(await read(['HTTP/1.1 204 No Content\r\n\r\n']), [204, '', true]);
  assert.deepEqual(await read(['HTTP/1.0 200 OK\r\n\r\nto the end']), [200, 'to the end', false]);
  assert.deepEqual(await read(['HTTP/1.1 100 Continue\r\n\r\n', SIZED]), [201, 'hello', true]);
  assert.deepEqual(await read(['HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n'], 'HEAD'), [200, '', true]);
  assert.deepEqual(await read(['HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok']), [
    200,
    'ok',
    false,
  ]);
});

test('HttpConnection leaves what follows a body for the next response', async () => {
  const connection = answering([SIZED + SIZED.replace('hello', 'again')]);
  for (const expected of ['hello', 'again']) {
    const head = await connection.readHead();
    assert.equal(await readText(connection.body(head, 'GET')), expected);
  }
});

test('HttpConnection fails on what is not HTTP or ends too early', async () => {
  await assert.rejects(read(['SSH-2.0-x\r\n\r\n']), /malformed HTTP response/);
  await assert.rejects(read(['HTTP/1.1 200 OK\r\nContent-Le']), /closed the connection/);
  await assert.rejects(read(['HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc']), /unexpected EOF/);
  await assert.rejects(
    read(['HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n']),
    /invalid chunk size/,
  );
});

function frame(stream: number, text: string): Buffer {
  const header = Buffer.alloc(8);
  header[0] = stream;
  header.writeUInt32BE(Buffer.byteLength(text), 4);
  return Buffer.concat([header, Buffer.from(text)]);
}

test('demultiplex() takes frames apart, however they are cut', async () => {
  const bytes = Buffer.concat([frame(1, 'out'), frame(2, 'err'), frame(1, ''), frame(1, 'more')]);
  for (const size of [1, 3, 7, bytes.length]) {
    const input = new PassThrough();
    const reader = new ByteReader(input);
    for (let at = 0; at < bytes.length; at += size) input.write(bytes.subarray(at, at + size));
    input.end();
    const got = { stdin: '', stdout: '', stderr: '' };
    await demultiplex(reader, (name, data) => {
      got[name] += data.toString();
    });
    assert.deepEqual(got, { stdin: '', stdout: 'outmore', stderr: 'err' });
  }
});

test('demultiplex() throws what the daemon sends as its own error', async () => {
  const input = new PassThrough();
  input.end(frame(3, 'it broke'));
  await assert.rejects(
    demultiplex(new ByteReader(input), () => undefined),
    { message: 'error from daemon in stream: it broke' },
  );
});
