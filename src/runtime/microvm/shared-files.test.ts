import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { createConnection, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { leaveFile, takeFile, withSocket } from './shared-files.ts';

const OWNER = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };

function temporary(): { directory: string } & Disposable {
  const directory = mkdtempSync(path.join(tmpdir(), 'shared-'));
  return { directory, [Symbol.dispose]: () => rmSync(directory, { recursive: true, force: true }) };
}

test('leaveFile() makes a file of the owner’s, and never goes through what stands there', () => {
  using place = temporary();
  const file = path.join(place.directory, 'exec');
  leaveFile(file, Buffer.from('body'), OWNER);
  assert.equal(readFileSync(file, 'utf8'), 'body');
  assert.equal(statSync(file).mode & 0o777, 0o600);
  const victim = path.join(place.directory, 'victim');
  writeFileSync(victim, 'untouched');
  for (const target of [victim, path.join(place.directory, 'nothing')]) {
    const link = path.join(place.directory, `to-${path.basename(target)}`);
    symlinkSync(target, link);
    assert.throws(() => leaveFile(link, Buffer.from('body'), OWNER), { code: 'EEXIST' });
  }
  assert.equal(readFileSync(victim, 'utf8'), 'untouched');
});

test('takeFile() reads a regular file of bounded size, and waits for and follows nothing else', () => {
  using place = temporary();
  const at = (name: string): string => path.join(place.directory, name);
  writeFileSync(at('exit'), '{}');
  assert.equal(takeFile(at('exit'), 10)?.toString(), '{}');
  assert.equal(takeFile(at('nothing'), 10), undefined);
  symlinkSync(at('exit'), at('link'));
  assert.equal(takeFile(at('link'), 10), undefined);
  execFileSync('mkfifo', [at('fifo')]);
  assert.equal(takeFile(at('fifo'), 10), undefined);
  assert.equal(takeFile(place.directory, 1 << 20), undefined);
  writeFileSync(at('large'), '');
  truncateSync(at('large'), 2 ** 40);
  assert.equal(takeFile(at('large'), 1 << 20), undefined);
});

test('withSocket() connects to a socket that is there itself, and is the owner’s', async () => {
  using place = temporary();
  const socket = path.join(place.directory, 'sock');
  const link = path.join(place.directory, 'link');
  symlinkSync(socket, link);
  const server = createServer((connection) => connection.end('hello'));
  await new Promise<void>((listening) => server.listen(socket, listening));
  const hear = (file: string): Promise<string> =>
    new Promise((resolve, reject) => {
      createConnection(file, () => {})
        .on('data', (data) => resolve(data.toString()))
        .on('error', reject);
    });
  try {
    assert.equal(await withSocket(socket, OWNER, hear), 'hello');
    await assert.rejects(withSocket(link, OWNER, hear), { kind: 'internal' });
    await assert.rejects(withSocket(socket, { ...OWNER, uid: OWNER.uid + 1 }, hear), { kind: 'internal' });
    await assert.rejects(withSocket(path.join(place.directory, 'none'), OWNER, hear), { code: 'ENOENT' });
  } finally {
    server.close();
  }
});
