import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';

/** Which rooms a room may import, itself always included. The order is the house, top to bottom. */
const BELOW = [
  'base',
  'wire',
  'oci',
  'template',
  'host',
  'content',
  'state',
  'archive',
  'snapshot',
  'registry',
  'disk',
];
const ALLOWED: Record<string, readonly string[]> = {
  main: ['cli', 'api', 'build', 'container', 'image', 'network', 'volume', 'runtime', ...BELOW],
  cli: ['api/client', 'base', 'wire', 'oci', 'template', 'archive'],
  'api/client': ['base', 'wire', 'oci'],
  api: ['build', 'container', 'image', 'network', 'volume', 'runtime', ...BELOW],
  build: ['container', 'image', 'network', 'volume', 'runtime', ...BELOW],
  container: ['image', 'network', 'volume', 'runtime', ...BELOW],
  image: ['registry', ...BELOW],
  network: ['base', 'wire', 'oci', 'host', 'state'],
  volume: ['base', 'wire', 'oci', 'host', 'state'],
  runtime: ['base', 'oci', 'host'],
  disk: ['base', 'oci', 'host', 'content', 'archive'],
  registry: ['base', 'oci', 'host', 'content'],
  snapshot: ['base', 'oci', 'host', 'archive'],
  archive: ['base', 'oci', 'host'],
  content: ['base', 'oci', 'host'],
  state: ['base', 'wire', 'oci'],
  host: ['base'],
  oci: ['base'],
  template: ['base'],
  wire: [],
  base: [],
};

const SOURCE = path.join(import.meta.dirname, '../src');

function roomOf(file: string): string {
  if (file.startsWith('api/client/')) return 'api/client';
  return file.split('/')[0] ?? '';
}

test('every import points to the same room or one below', () => {
  const wrong: string[] = [];
  for (const file of globSync('**/*.ts', { cwd: SOURCE })) {
    const allowed = ALLOWED[roomOf(file)];
    assert.ok(allowed, `"${file}" is in a room that the table does not know`);
    const text = readFileSync(path.join(SOURCE, file), 'utf8');
    for (const [, specifier] of text.matchAll(/(?:from|import)\s*\(?\s*'((?:#\/|\.)[^']+)'/g)) {
      if (specifier === undefined) continue;
      const target = specifier.startsWith('#/')
        ? specifier.slice(2)
        : path.relative(SOURCE, path.resolve(SOURCE, path.dirname(file), specifier));
      if (target.startsWith('..')) continue;
      const room = roomOf(target);
      if (room !== roomOf(file) && !allowed.includes(room)) wrong.push(`${file} -> ${target}`);
    }
  }
  assert.deepEqual(wrong, []);
});

test("the client's bundle, which runs as a script, imports none of Node's own modules when it runs", () => {
  const wrong = ['cli/**/*.ts', 'api/client/**/*.ts']
    .flatMap((pattern) => globSync(pattern, { cwd: SOURCE }))
    .filter((file) => /import\(\s*'node:/.test(readFileSync(path.join(SOURCE, file), 'utf8')));
  assert.deepEqual(wrong, []);
});
