import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { Logger } from '#/base/log.ts';
import { listen, type ListenerOptions } from './listeners.ts';
import { writePidfile } from './pidfile.ts';

const directory = mkdtempSync(path.join(tmpdir(), 'hull-listen-'));
const servers: Server[] = [];
const warnings: string[] = [];
const options: ListenerOptions = {
  config: { tlsSaid: false },
  logger: new Logger('info', (line) => warnings.push(line)),
  createServer: async () => {
    const server = createServer();
    servers.push(server);
    return server;
  },
};

after(() => {
  for (const server of servers) server.close();
  rmSync(directory, { recursive: true });
});

test('listen() makes a socket for its group only, and refuses one that answers', async () => {
  const socket = path.join(directory, 'new/hull.sock');
  const [listener] = await listen(`unix://${socket}`, options);
  assert.equal(statSync(socket).mode & 0o777, 0o660);
  await assert.rejects(listen(`unix://${socket}`, options), {
    message: `listen unix ${socket}: bind: address already in use`,
  });
  listener?.close();
  assert.equal(statSync(socket, { throwIfNoEntry: false }), undefined);
});

test('listen() takes the place of a socket that nobody listens on, never of a file', async () => {
  const stale = path.join(directory, 'stale.sock');
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(stale, resolve));
  // Closing through the handle leaves the file, as a kill does.
  const moved = `${stale}.moved`;
  const { renameSync } = await import('node:fs');
  renameSync(stale, moved);
  await new Promise((resolve) => server.close(resolve));
  renameSync(moved, stale);
  await listen(`unix://${stale}`, options);

  const file = path.join(directory, 'file');
  writeFileSync(file, '');
  await assert.rejects(listen(`unix://${file}`, options), /address already in use/);
});

test('listen() takes tcp addresses without TLS on the loopback, and others when it was declined', async () => {
  const [listener] = await listen('tcp://127.0.0.1:0', options);
  assert.match(listener?.address ?? '', /^127\.0\.0\.1:[1-9]\d*$/);
  assert.match(warnings.join(''), /Binding to IP address without --tlsverify is insecure/);
  await assert.rejects(
    listen('tcp://0.0.0.0:0', options),
    /explicitly specifying '--tls=false' or '--tlsverify=false'/,
  );
  await listen('tcp://0.0.0.0:0', { ...options, config: { tlsSaid: true } });
});

test('listen() refuses what it does not know', async () => {
  await assert.rejects(listen('npipe:////./pipe/x', options), /unsupported proto "npipe"/);
  await assert.rejects(listen('fd://', options), /no sockets found via socket activation/);
  await assert.rejects(listen('tcp://a:b:c', options), /invalid bind address format/);
});

test('writePidfile() refuses while the process in it lives', () => {
  const file = path.join(directory, 'pid');
  writeFileSync(file, '1');
  assert.throws(() => writePidfile(file), /process with PID 1 is still running/);
  writeFileSync(file, '999999999');
  writePidfile(file)[Symbol.dispose]();
  assert.equal(statSync(file, { throwIfNoEntry: false }), undefined);
});
