import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { internal } from '#/base/errors.ts';

/**
 * The engine's records: one SQLite file under the data root, shared by all nouns, each with its own tables.
 *
 * Commits are `synchronous=NORMAL` on a write-ahead log: what was acknowledged is in the kernel's hands, so `kill -9` loses
 * nothing, and a power cut leaves an earlier whole state without an fsync on every container's path. Whoever is about to
 * delete files that the records named asks for a `durable` transaction: otherwise a power cut could bring the records
 * back without their files.
 */
export class Database implements Disposable {
  readonly #sqlite: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();
  #depth = 0;

  /** `:memory:` serves tests that do not reopen it. */
  constructor(file: string) {
    if (file !== ':memory:') mkdirSync(path.dirname(file), { recursive: true, mode: 0o711 });
    this.#sqlite = new DatabaseSync(file, { timeout: 5000 });
    this.#sqlite.exec('PRAGMA journal_mode = WAL');
    this.#sqlite.exec('PRAGMA synchronous = NORMAL');
    this.#sqlite.exec('PRAGMA foreign_keys = ON');
    this.#sqlite.exec(
      'CREATE TABLE IF NOT EXISTS versions (noun TEXT PRIMARY KEY, version INTEGER NOT NULL)',
    );
  }

  /** Brings a noun's tables from whatever version is there to the newest. Steps are only ever appended to. */
  migrate(noun: string, steps: readonly string[]): void {
    this.transaction(() => {
      const row = this.prepare('SELECT version FROM versions WHERE noun = ?').get(noun);
      const version = Number(row?.['version'] ?? 0);
      if (version > steps.length) {
        throw internal(
          `Cannot open the records of "${noun}": a newer engine wrote them (version ${version}, this one knows ${steps.length})`,
        );
      }
      for (const step of steps.slice(version)) this.#sqlite.exec(step);
      this.prepare('INSERT OR REPLACE INTO versions (noun, version) VALUES (?, ?)').run(noun, steps.length);
    });
  }

  /** The statement for this text, compiled once. Texts are constants of the code, so the cache stays small. */
  prepare(sql: string): StatementSync {
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      statement = this.#sqlite.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }

  /**
   * Runs `work` in one transaction: all of it is kept, or, when it throws, nothing. `work` is synchronous. Inside another
   * transaction it joins that one.
   */
  transaction<T>(work: () => T, options: { durable?: boolean } = {}): T {
    if (this.#depth > 0) return work();
    if (options.durable === true) this.#sqlite.exec('PRAGMA synchronous = FULL');
    try {
      this.#sqlite.exec('BEGIN IMMEDIATE');
      this.#depth = 1;
      try {
        const result = work();
        this.#sqlite.exec('COMMIT');
        return result;
      } catch (error) {
        if (this.#sqlite.isTransaction) this.#sqlite.exec('ROLLBACK');
        throw error;
      } finally {
        this.#depth = 0;
      }
    } finally {
      if (options.durable === true) this.#sqlite.exec('PRAGMA synchronous = NORMAL');
    }
  }

  close(): void {
    if (!this.#sqlite.isOpen) return;
    this.#statements.clear();
    this.#sqlite.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
