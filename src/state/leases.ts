import { newId } from '#/base/ids.ts';
import type { Database } from './database.ts';

/** What a lease can protect: a blob or a layer by its digest, an image by its id, or a write in progress by its ref. */
export type LeasedKind = 'blob' | 'layer' | 'image' | 'ref';

const STEPS = [
  `CREATE TABLE leases (
     id TEXT PRIMARY KEY,
     expires INTEGER NOT NULL,
     resumable INTEGER NOT NULL
   ) WITHOUT ROWID;
   CREATE TABLE leased (
     lease TEXT NOT NULL REFERENCES leases (id) ON DELETE CASCADE,
     kind TEXT NOT NULL,
     name TEXT NOT NULL,
     PRIMARY KEY (lease, kind, name)
   ) WITHOUT ROWID;`,
];

const DAY_MS = 86_400_000;

/**
 * Holds on things that no record names yet: whatever is in progress takes a lease before it writes, and garbage
 * collection leaves alone what a lease names. A lease ends when it is disposed, when it expires, or with the process that
 * took it, unless it is `resumable`: then what was cut off stays until the expiry, to be taken up again.
 */
export class Leases {
  readonly #database: Database;

  /** Ends the leases of earlier processes: nothing of theirs is in progress any more. */
  constructor(database: Database) {
    this.#database = database;
    database.migrate('leases', STEPS);
    database.prepare('DELETE FROM leases WHERE resumable = 0 OR expires < ?').run(Date.now());
  }

  take(options: { ttlMs?: number; resumable?: boolean } = {}): Lease {
    const id = newId();
    this.#database
      .prepare('INSERT INTO leases (id, expires, resumable) VALUES (?, ?, ?)')
      .run(id, Date.now() + (options.ttlMs ?? DAY_MS), options.resumable === true ? 1 : 0);
    return new Lease(this.#database, id);
  }

  /** The names of one kind that some lease protects now. */
  protected(kind: LeasedKind): Set<string> {
    const rows = this.#database
      .prepare('SELECT DISTINCT name FROM leased JOIN leases ON id = lease WHERE kind = ? AND expires >= ?')
      .all(kind, Date.now());
    return new Set(rows.map((row) => String(row['name'])));
  }
}

export class Lease implements Disposable {
  readonly id: string;
  readonly #database: Database;

  constructor(database: Database, id: string) {
    this.#database = database;
    this.id = id;
  }

  add(kind: LeasedKind, name: string): void {
    this.#database
      .prepare('INSERT OR IGNORE INTO leased (lease, kind, name) VALUES (?, ?, ?)')
      .run(this.id, kind, name);
  }

  /** Ends it. What it protected is garbage from now on, unless a record names it by now. */
  release(): void {
    this.#database.prepare('DELETE FROM leases WHERE id = ?').run(this.id);
  }

  [Symbol.dispose](): void {
    this.release();
  }
}
