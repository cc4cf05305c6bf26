import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { newId } from '#/base/ids.ts';
import { conflict, errnoCode, invalid, notFound } from '#/base/errors.ts';
import { deleteTree } from '#/host/delete-tree.ts';
import { makeExt4 } from '#/host/ext4.ts';
import { type Digest, isDigest } from '#/oci/digest.ts';

const DISK = 'disk';
/** What stat(2) counts blocks in. */
const STAT_BLOCK = 512;

export interface Snapshot {
  /** Base first. */
  layers: Digest[];
  readonly: boolean;
  /** What is written lies in a filesystem of its own, in the file `disk`. */
  limited?: boolean;
  /** A kernel other than the host's writes there. */
  guest?: boolean;
  /** Bytes that `disk` took when nothing was in it. */
  emptySize?: number;
}

/**
 * The records of snapshots, one directory each: `snapshot.json`, and `upper` and `work` unless it is a view. Made aside and
 * renamed into place, so that it is there whole or not at all. Synchronous, since a container's start waits for it and a
 * handful of calls on directories takes a tenth of a millisecond.
 */
export class Snapshots {
  readonly #root: string;
  readonly #temporary: string;
  readonly #records = new Map<string, Snapshot>();

  /** `temporary` is on the same filesystem. Reads what is there. */
  constructor(root: string, temporary: string) {
    this.#root = root;
    this.#temporary = temporary;
    mkdirSync(root, { recursive: true, mode: 0o711 });
    for (const key of readdirSync(root)) {
      const record = this.#read(key);
      if (record !== undefined) this.#records.set(key, record);
    }
  }

  create(key: string, layers: readonly Digest[], readonly: boolean): void {
    this.#checkKey(key);
    const directory = this.#makeAside();
    if (!readonly) makeWritablePart(directory);
    this.#publish(key, directory, { layers: [...layers], readonly });
  }

  /** One whose writable part is a filesystem of about `size` bytes. */
  async createLimited(
    key: string,
    layers: readonly Digest[],
    { size, guest }: { size: number; guest: boolean },
  ): Promise<void> {
    this.#checkKey(key);
    const directory = this.#makeAside();
    const content = this.#makeAside();
    try {
      makeWritablePart(content);
      const disk = path.join(directory, DISK);
      await makeExt4(disk, size, content);
      const emptySize = statSync(disk).blocks * STAT_BLOCK;
      this.#checkKey(key);
      this.#publish(key, directory, {
        layers: [...layers],
        readonly: false,
        limited: true,
        guest,
        emptySize,
      });
    } finally {
      await rm(content, { recursive: true, force: true });
      await rm(directory, { recursive: true, force: true });
    }
  }

  /** The file that holds what a limited snapshot has written. */
  disk(key: string): string | undefined {
    return this.get(key).limited === true ? path.join(this.directory(key), DISK) : undefined;
  }

  get(key: string): Snapshot {
    const record = this.#records.get(key);
    if (record === undefined) throw notFound(`snapshot "${key}" does not exist`);
    return record;
  }

  directory(key: string): string {
    return path.join(this.#root, key);
  }

  keys(): string[] {
    return [...this.#records.keys()];
  }

  replace(key: string, by: string): void {
    const record = this.get(by);
    this.remove(key);
    renameSync(this.directory(by), this.directory(key));
    this.#records.delete(by);
    this.#records.set(key, record);
  }

  remove(key: string): void {
    if (!this.#records.delete(key)) return;
    const gone = path.join(this.#temporary, newId());
    try {
      renameSync(path.join(this.#root, key), gone);
    } catch (error) {
      if (errnoCode(error) === 'ENOENT') return;
      throw error;
    }
    // Gone from sight; what it held is deleted while the caller goes on, or by the next tidy().
    void deleteTree(gone).catch(() => {});
  }

  tidy(): void {
    for (const key of readdirSync(this.#root)) {
      if (!this.#records.has(key)) rmSync(path.join(this.#root, key), { recursive: true, force: true });
    }
  }

  #checkKey(key: string): void {
    if (!/^[A-Za-z0-9][\w.-]*$/.test(key)) throw invalid(`invalid snapshot key "${key}"`);
    if (this.#records.has(key)) throw conflict(`snapshot "${key}" already exists`);
  }

  #makeAside(): string {
    const directory = path.join(this.#temporary, newId());
    mkdirSync(directory, { mode: 0o711 });
    return directory;
  }

  #publish(key: string, directory: string, record: Snapshot): void {
    writeFileSync(path.join(directory, 'snapshot.json'), JSON.stringify(record));
    // A directory without a record is what a crash left; nothing else would be in the way.
    if (existsSync(path.join(this.#root, key)))
      renameSync(path.join(this.#root, key), path.join(this.#temporary, newId()));
    renameSync(directory, path.join(this.#root, key));
    this.#records.set(key, record);
  }

  #read(key: string): Snapshot | undefined {
    try {
      const record: unknown = JSON.parse(readFileSync(path.join(this.#root, key, 'snapshot.json'), 'utf8'));
      return isSnapshot(record) ? record : undefined;
    } catch (error) {
      if (error instanceof SyntaxError || errnoCode(error) === 'ENOENT' || errnoCode(error) === 'ENOTDIR')
        return undefined;
      throw error;
    }
  }
}

function makeWritablePart(directory: string): void {
  mkdirSync(path.join(directory, 'upper'));
  // It becomes the container's root directory; the umask is not to narrow it.
  chmodSync(path.join(directory, 'upper'), 0o755);
  mkdirSync(path.join(directory, 'work'), { mode: 0o711 });
}

function isSnapshot(value: unknown): value is Snapshot {
  if (typeof value !== 'object' || value === null) return false;
  const { layers, readonly } = value as Partial<Record<keyof Snapshot, unknown>>;
  return (
    typeof readonly === 'boolean' &&
    Array.isArray(layers) &&
    layers.every((layer) => typeof layer === 'string' && isDigest(layer))
  );
}
