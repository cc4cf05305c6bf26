/**
 * Writes dist/hull-main.cache: what V8 compiles of the client's bundle when it runs a container, for `dist/hull.cjs` to begin
 * with. Only functions that have run are in it, so the client runs once here, against a server that answers like a daemon.
 *
 *     scripts/node scripts/cache-cli.ts DIST
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { Module } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Script } from 'node:vm';

const dist = path.resolve(process.argv[2] ?? 'dist');
const directory = mkdtempSync(path.join(tmpdir(), 'hull-cache-'));
const socket = path.join(directory, 'socket');
const id = '0'.repeat(64);

const server = createServer((request, response) => {
  response.setHeader('Content-Type', 'application/json');
  if (request.url?.includes('/create')) response.writeHead(201).end(JSON.stringify({ Id: id, Warnings: [] }));
  else if (request.url?.includes('/wait')) {
    response.flushHeaders();
    setTimeout(() => response.end('{"StatusCode":0}'), 20);
  } else response.writeHead(204).end();
});
server.on('upgrade', (_request, stream) => {
  stream.write('HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n');
  // One frame of stdout, then the end of the stream.
  setTimeout(() => stream.end(Buffer.from([1, 0, 0, 0, 0, 0, 0, 0])), 10);
});

server.listen(socket, () => {
  const filename = path.join(dist, 'hull-main.cjs');
  const script = new Script(Module.wrap(readFileSync(filename, 'latin1')), { filename });
  process.on('exit', () => {
    writeFileSync(path.join(dist, 'hull-main.cache'), script.createCachedData());
    rmSync(directory, { recursive: true });
  });
  process.argv = [process.execPath, filename, '-H', `unix://${socket}`, 'run', '--rm', 'busybox', 'true'];
  const main = script.runInThisContext() as (...scope: unknown[]) => void;
  const module = new Module(filename);
  main(module.exports, Module.createRequire(filename), module, filename, dist);
});
