import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { connect } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { Logger } from '#/base/log.ts';
import { readToEnd } from '#/base/streams.ts';
import { EventLog } from '#/state/events.ts';
import { ApiServer } from './api-server.ts';
import type { Engine } from './engine.ts';

// These checks reach the engine's events only; what the other rooms answer is proved against a whole daemon.
const events = new EventLog();
const api = new ApiServer({ engine: { events } as unknown as Engine, logger: new Logger('fatal') });
const directory = mkdtempSync(path.join(os.tmpdir(), 'hull-api-'));
const socketPath = path.join(directory, 's');

before(async () => {
  const server = await api.createServer();
  await new Promise<void>((resolve) => server.listen(socketPath, resolve));
});

after(async () => {
  await api.stop(100);
  rmSync(directory, { recursive: true });
});

interface Answer {
  status: number | undefined;
  headers: NodeJS.Dict<string | string[]>;
  text: string;
}

function call(
  method: string,
  url: string,
  body?: string,
  headers: Record<string, string> = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = request({ socketPath, method, path: url, headers, agent: false }, (response) => {
      readToEnd(response as AsyncIterable<Buffer>).then(
        (bytes) =>
          resolve({ status: response.statusCode, headers: response.headers, text: bytes.toString() }),
        reject,
      );
    });
    sent.on('error', reject);
    sent.end(body);
  });
}

test('_ping answers GET and HEAD with the headers that clients negotiate by', async () => {
  const answer = await call('GET', '/_ping');
  assert.deepEqual([answer.status, answer.text], [200, 'OK']);
  assert.equal(answer.headers['api-version'], '1.56');
  assert.equal(answer.headers['ostype'], 'linux');
  const head = await call('HEAD', '/v1.40/_ping');
  assert.deepEqual([head.status, head.text], [200, '']);
});

for (const [method, url, status, message] of [
  ['GET', '/nonsense', 404, 'page not found'],
  ['PUT', '/_ping', 404, 'page not found'],
  ['GET', '/v1.10/version', 400, /client version 1\.10 is too old/],
  ['GET', '/v1.57/version', 400, /client version 1\.57 is too new/],
  ['GET', '/swarm', 501, /no swarm mode.*\(GET \/swarm\)/],
  ['POST', '/images/a/b/c/push', 501, /Push an image/],
  ['GET', '/containers/json?filters={"x":["y"]}', 400, "invalid filter 'x'"],
  ['POST', '/containers/x/wait?condition=never', 400, 'invalid condition: "never"'],
  ['POST', '/containers/x/resize?h=a&w=1', 400, /invalid resize height "a"/],
  ['GET', '/containers/x/logs', 400, 'Bad parameters: you must choose at least one stream'],
] as const) {
  test(`${method} ${url} answers ${status}`, async () => {
    const answer = await call(method, encodeURI(url));
    assert.equal(answer.status, status);
    const told = (JSON.parse(answer.text) as { message: string }).message;
    if (typeof message === 'string') assert.equal(told, message);
    else assert.match(told, message);
  });
}

test('a body must say that it is JSON', async () => {
  const answer = await call('POST', '/containers/create', '{}', { 'content-type': 'text/plain' });
  assert.equal(answer.status, 400);
  assert.match(answer.text, /unsupported Content-Type header \(text\/plain\): must be 'application\/json'/);
});

test('events come as they happen, as long as the client listens', async () => {
  const socket = connect(socketPath);
  socket.write('GET /v1.52/events HTTP/1.1\r\nHost: x\r\n\r\n');
  const texts: string[] = [];
  for await (const chunk of socket as AsyncIterable<Buffer>) {
    texts.push(String(chunk));
    if (texts.length === 1) events.publish({ type: 'container', action: 'start', id: 'abc' });
    if (texts.join('').includes('"Action":"start"')) break;
  }
  assert.doesNotMatch(texts.join(''), /"status"/);
  while (events.readers > 0) await new Promise(setImmediate);
});

test('ApiServer reads headers of a megabyte and no more', async () => {
  const filters = `/events?until=1&filters=${encodeURIComponent(JSON.stringify({ label: ['x'.repeat(100_000)] }))}`;
  assert.equal((await call('GET', filters)).status, 200);
  const answer = await call('GET', '/_ping', undefined, { 'X-Long': 'x'.repeat(1 << 21) }).catch(
    () => undefined,
  );
  assert.ok(answer === undefined || answer.status === 431, String(answer?.status));
  assert.equal((await call('GET', '/_ping')).status, 200);
});
