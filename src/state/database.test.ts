import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { Database } from './database.ts';

function temporaryFile(t: { after(clean: () => void): void }): string {
  const directory = mkdtempSync(path.join(tmpdir(), 'hull-database-'));
  t.after(() => rmSync(directory, { recursive: true }));
  return path.join(directory, 'hull.db');
}

test('Database keeps rows over a reopen and runs only new migration steps', (t) => {
  const file = temporaryFile(t);
  const steps = ['CREATE TABLE things (name TEXT PRIMARY KEY)'];
  {
    using database = new Database(file);
    database.migrate('things', steps);
    database.transaction(() => database.prepare('INSERT INTO things VALUES (?)').run('a'), { durable: true });
  }
  using database = new Database(file);
  database.migrate('things', [...steps, 'ALTER TABLE things ADD COLUMN size INTEGER DEFAULT 7']);
  assert.deepEqual({ ...database.prepare('SELECT * FROM things').get() }, { name: 'a', size: 7 });
});

test('Database.migrate() refuses records of a newer engine', (t) => {
  const file = temporaryFile(t);
  using database = new Database(file);
  database.migrate('things', ['CREATE TABLE a (x)', 'CREATE TABLE b (x)']);
  assert.throws(() => database.migrate('things', ['CREATE TABLE a (x)']), /a newer engine wrote them/);
});

test('Database.transaction() undoes everything when the work throws, also from inside a joined one', () => {
  using database = new Database(':memory:');
  database.migrate('things', ['CREATE TABLE things (name TEXT PRIMARY KEY)']);
  const insert = (name: string) => database.prepare('INSERT INTO things VALUES (?)').run(name);
  assert.throws(() =>
    database.transaction(() => {
      insert('a');
      database.transaction(() => insert('b'));
      throw new Error('no');
    }),
  );
  assert.equal(database.prepare('SELECT count(*) AS n FROM things').get()?.['n'], 0);
  database.transaction(() => insert('c'));
  assert.equal(database.prepare('SELECT count(*) AS n FROM things').get()?.['n'], 1);
});
