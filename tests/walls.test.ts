import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';

import { NOT_IN_VM } from './api/walls.ts';

const ROOT = path.join(import.meta.dirname, '..');
const DOCUMENT = readFileSync(path.join(ROOT, 'docs/ISOLATION.md'), 'utf8');

/** The lines of the table below a header, as cells. */
function table(header: string): string[][] {
  const lines = DOCUMENT.slice(DOCUMENT.indexOf(header)).split('\n');
  const end = lines.findIndex((line) => !line.startsWith('|'));
  return lines.slice(2, end === -1 ? undefined : end).map((line) => line.slice(2, -2).split(' | '));
}

/** "subject: check" of every check there is, and the subjects themselves. */
function checks(): Set<string> {
  const found = new Set<string>();
  for (const file of globSync(path.join(ROOT, 'tests/api/*.test.ts'))) {
    let subject = '';
    const calls = /\b(onEveryEngine|check)\(\s*(['"])(.*?)\2,/g;
    for (const [, name, , text] of readFileSync(file, 'utf8').matchAll(calls)) {
      if (name === 'onEveryEngine') found.add((subject = text ?? ''));
      else found.add(`${subject}: ${text}`);
    }
  }
  return found;
}

test('docs/ISOLATION.md lists what does not run behind the second wall', () => {
  assert.deepEqual(table('| check | why |'), Object.entries(NOT_IN_VM));
});

test('what does not run behind the second wall, and what docs/ISOLATION.md is held by, are checks', () => {
  const known = checks();
  const held = table('| option |').flatMap((cells) => (cells[3] ?? '').split(' · '));
  assert.ok(held.length > 50);
  const unknown = [...held, ...Object.keys(NOT_IN_VM)].filter((name) => !known.has(name));
  assert.deepEqual(unknown, []);
});
