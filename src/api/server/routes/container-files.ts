import { once } from 'node:events';
import { PassThrough, type Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import type { ContainerConfig } from '#/wire/generated.ts';
import { invalid } from '#/base/errors.ts';
import type { Exchange } from '../exchange.ts';
import { writeAll } from '../frames.ts';
import { type Route, route } from '../router.ts';

export const containerFileRoutes: readonly Route[] = [
  route('HEAD', '/containers/{id}/archive', async (exchange, engine) => {
    const stat = await engine.files.stat(exchange.parameter('id'), wantedPath(exchange));
    setStat(exchange, stat);
    exchange.empty(200);
  }),

  route('GET', '/containers/{id}/archive', async (exchange, engine) => {
    const { stat, tar } = await engine.files.read(exchange.parameter('id'), wantedPath(exchange));
    setStat(exchange, stat);
    await sendTar(exchange, tar, 'application/x-tar');
  }),

  route('PUT', '/containers/{id}/archive', async (exchange, engine) => {
    const { query, request } = exchange;
    const options = {
      noOverwriteDirNonDir: query.flag('noOverwriteDirNonDir'),
      copyUIDGID: query.flag('copyUIDGID'),
    };
    try {
      await engine.files.write(exchange.parameter('id'), wantedPath(exchange), bodyOf(request), options);
    } catch (error) {
      await passOver(request);
      throw error;
    }
    exchange.empty(200);
  }),

  route('GET', '/containers/{id}/changes', async (exchange, engine) => {
    const changes = await engine.files.changes(exchange.parameter('id'));
    // Go writes null for a list that nothing was added to.
    exchange.json(200, changes.length === 0 ? null : changes);
  }),

  route('GET', '/containers/{id}/export', async (exchange, engine) => {
    await sendTar(exchange, await engine.files.export(exchange.parameter('id')), 'application/octet-stream');
  }),

  route('POST', '/commit', async (exchange, engine) => {
    const { query } = exchange;
    const config = await exchange.body<ContainerConfig>('ContainerConfig');
    const tag = query.text('tag');
    const repository = query.text('repo');
    const author = query.given('author');
    const comment = query.given('comment');
    const options = {
      pause: query.text('pause') === '' || query.flag('pause'),
      changes: query.all('changes'),
      config,
      ...(repository === '' ? {} : { reference: tag === '' ? repository : `${repository}:${tag}` }),
      ...(author === undefined ? {} : { author }),
      ...(comment === undefined ? {} : { comment }),
    };
    exchange.json(201, { Id: await engine.commit(query.text('container'), options, exchange.signal) });
  }),
];

/** A request's body for a reader that may give up half-way without the connection's ending with it. */
function bodyOf(request: Exchange['request']): Readable {
  const body = new PassThrough();
  request.once('close', () => {
    if (!request.complete) body.destroy(new Error('The client broke off'));
  });
  return request.pipe(body);
}

/** Longest that a refused upload is read on: as much as comes in that time is read at a disk's speed. */
const PASSING_MS = 5000;

/** Clients write the whole body before they read why it was refused: closing on them at once is all that they would see. */
async function passOver(request: Exchange['request']): Promise<void> {
  if (request.readableEnded || request.destroyed) return;
  request.unpipe();
  request.resume();
  const done = new AbortController();
  const { signal } = done;
  const over = [
    once(request, 'end', { signal }),
    once(request, 'close', { signal }),
    delay(PASSING_MS, undefined, { signal }),
  ];
  await Promise.race(over).catch(() => {});
  done.abort();
  await Promise.allSettled(over);
}

function wantedPath({ query }: Exchange): string {
  const path = query.text('path');
  if (path === '') throw invalid('bad parameter: path cannot be empty');
  // It would end there for the kernel.
  if (path.includes('\0')) throw invalid(`lstat ${path}: invalid argument`);
  return path;
}

function setStat({ response }: Exchange, stat: object): void {
  const encoded = Buffer.from(JSON.stringify(stat)).toString('base64');
  response.setHeader('X-Docker-Container-Path-Stat', encoded);
}

async function sendTar(exchange: Exchange, tar: AsyncIterable<Buffer>, type: string): Promise<void> {
  exchange.begin(200, type);
  try {
    for await (const chunk of tar) {
      await writeAll(exchange.response, chunk);
      if (exchange.signal.aborted) return;
    }
    exchange.response.end();
  } catch {
    // The status is gone; a connection that breaks off is what tells the client that the archive is not whole.
    exchange.response.destroy();
  }
}
