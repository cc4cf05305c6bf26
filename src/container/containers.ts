import { conflict, invalid, notFound } from '#/base/errors.ts';
import type { Database } from '#/state/database.ts';
import type { Attachment, Exit, Task } from '#/runtime/runtime.ts';
import type { ContainerRecord } from './record.ts';

/** A container as the engine holds it: its record, and what lives only as long as this process. */
export class Container {
  readonly record: ContainerRecord;
  task: Task | undefined;
  /** Clients that attached before the start and want its first byte. */
  readonly pendingAttaches = new Set<PendingAttach>();
  readonly #exitWaiters = new Set<(exit: ContainerExit) => void>();
  readonly #removalWaiters = new Set<(exit: ContainerExit) => void>();

  constructor(record: ContainerRecord) {
    this.record = record;
  }

  get id(): string {
    return this.record.id;
  }

  /** Resolves at the next exit, which is when the container has also given back its network and mounts. */
  nextExit(signal?: AbortSignal): Promise<ContainerExit> {
    return waitIn(this.#exitWaiters, signal);
  }

  /** Resolves when the container is no more. */
  nextRemoval(signal?: AbortSignal): Promise<ContainerExit> {
    return waitIn(this.#removalWaiters, signal);
  }

  /** Resolves when the run that is on has ended and its log is whole; at once when there is none. */
  outputEnded(): Promise<unknown> {
    return this.task?.exited ?? Promise.resolve();
  }

  announceExit(exit: ContainerExit): void {
    wake(this.#exitWaiters, exit);
  }

  announceRemoval(): void {
    const exit = { code: this.record.state.exitCode };
    wake(this.#exitWaiters, exit);
    wake(this.#removalWaiters, exit);
  }
}

export type ContainerExit = Pick<Exit, 'code'> & { error?: string };

export interface PendingAttach {
  want: { stdin: boolean; output: boolean };
  resolve: (attachment: Attachment) => void;
  reject: (error: unknown) => void;
}

/** The containers of this engine: looked up in memory, kept in the database. */
export class Containers {
  readonly #byId = new Map<string, Container>();
  readonly #idByName = new Map<string, string>();
  /** By the id at the other end of a link. */
  readonly #parents = new Map<string, Set<Container>>();
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
    database.migrate('container', [
      'CREATE TABLE containers (id TEXT PRIMARY KEY, record TEXT NOT NULL) STRICT, WITHOUT ROWID',
    ]);
    for (const row of database.prepare('SELECT record FROM containers').all()) {
      this.#index(new Container(JSON.parse(String(row['record']))));
    }
  }

  /** Takes the name and makes the container durable. `conflict` when the name is taken. */
  add(record: ContainerRecord): Container {
    this.#refuseTakenName(record.name);
    const container = new Container(record);
    this.#index(container);
    try {
      this.save(container);
    } catch (error) {
      this.#forget(container);
      throw error;
    }
    return container;
  }

  /** `durable` where files go that an earlier record named. */
  save(container: Container, options: { durable?: boolean } = {}): void {
    const insert = this.#database.prepare(
      'INSERT INTO containers VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET record = excluded.record',
    );
    this.#database.transaction(() => insert.run(container.id, JSON.stringify(container.record)), options);
  }

  rename(container: Container, name: string): void {
    this.#refuseTakenName(name);
    this.#idByName.delete(container.record.name);
    this.#idByName.set(name, container.id);
    container.record.name = name;
    this.save(container);
  }

  remove(container: Container): void {
    this.#database.prepare('DELETE FROM containers WHERE id = ?').run(container.id);
    this.#forget(container);
  }

  all(): Container[] {
    return [...this.#byId.values()];
  }

  byId(id: string): Container | undefined {
    return this.#byId.get(id);
  }

  /** The names that a container has by the links of others: `parent/alias`. */
  linkNames(id: string): string[] {
    const parents = this.#parents.get(id) ?? [];
    return [...parents].flatMap(({ record }) =>
      (record.links ?? []).filter((link) => link.id === id).map(({ alias }) => `${record.name}/${alias}`),
    );
  }

  /** Those that have a link to it. */
  parents(id: string): Container[] {
    return [...(this.#parents.get(id) ?? [])];
  }

  /** Cuts the link `parent/alias`. `notFound` when there is none. */
  unlink(reference: string): void {
    const { parent, alias } = this.#link(reference) ?? {};
    if (parent === undefined) throw notFound(`No such container: ${reference}`);
    this.#forgetLinks(parent);
    parent.record.links = (parent.record.links ?? []).filter((link) => link.alias !== alias);
    this.#indexLinks(parent);
    this.save(parent);
  }

  nameTaken(name: string): boolean {
    return this.#idByName.has(name);
  }

  /** By full id, name (with or without its slash) or unambiguous prefix of the id, in Docker's order. */
  get(reference: string): Container {
    const found = this.find(reference);
    if (found === undefined) throw notFound(`No such container: ${reference}`);
    return found;
  }

  find(reference: string): Container | undefined {
    const byId = this.#byId.get(reference);
    if (byId !== undefined) return byId;
    const id = this.#idByName.get(reference.replace(/^\//, ''));
    if (id !== undefined) return this.#byId.get(id);
    const linked = this.#link(reference);
    if (linked !== undefined) return this.#byId.get(linked.id);
    if (!/^[0-9a-f]+$/.test(reference)) return undefined;
    let match: Container | undefined;
    for (const container of this.#byId.values()) {
      if (!container.id.startsWith(reference)) continue;
      if (match !== undefined) throw invalid(`Multiple IDs found with provided prefix: ${reference}`);
      match = container;
    }
    return match;
  }

  #link(reference: string): { parent: Container; alias: string; id: string } | undefined {
    const [name = '', ...rest] = reference.replace(/^\//, '').split('/');
    const parent = rest.length > 0 ? this.#byId.get(this.#idByName.get(name) ?? '') : undefined;
    const alias = rest.join('/');
    const link = parent?.record.links?.find((each) => each.alias === alias);
    return parent && link && { parent, alias, id: link.id };
  }

  #indexLinks(container: Container): void {
    for (const { id } of container.record.links ?? []) {
      const parents = this.#parents.get(id) ?? new Set();
      this.#parents.set(id, parents.add(container));
    }
  }

  #forgetLinks(container: Container): void {
    for (const { id } of container.record.links ?? []) this.#parents.get(id)?.delete(container);
  }

  #refuseTakenName(name: string): void {
    const holder = this.#idByName.get(name);
    if (holder === undefined) return;
    throw conflict(
      `Conflict. The container name "/${name}" is already in use by container "${holder}". ` +
        'You have to remove (or rename) that container to be able to reuse that name.',
    );
  }

  #index(container: Container): void {
    this.#byId.set(container.id, container);
    this.#idByName.set(container.record.name, container.id);
    this.#indexLinks(container);
  }

  #forget(container: Container): void {
    this.#forgetLinks(container);
    this.#parents.delete(container.id);
    this.#byId.delete(container.id);
    this.#idByName.delete(container.record.name);
  }
}

function waitIn(waiters: Set<(exit: ContainerExit) => void>, signal?: AbortSignal): Promise<ContainerExit> {
  return new Promise((resolve, reject) => {
    const waiter = (exit: ContainerExit): void => {
      signal?.removeEventListener('abort', leave);
      resolve(exit);
    };
    const leave = (): void => {
      waiters.delete(waiter);
      reject(signal?.reason instanceof Error ? signal.reason : new Error('The wait was cancelled'));
    };
    waiters.add(waiter);
    signal?.addEventListener('abort', leave, { once: true });
  });
}

function wake(waiters: Set<(exit: ContainerExit) => void>, exit: ContainerExit): void {
  const woken = [...waiters];
  waiters.clear();
  for (const waiter of woken) waiter(exit);
}
