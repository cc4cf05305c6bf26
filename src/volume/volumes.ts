import { readdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { conflict, errnoCode, invalid, notFound } from '#/base/errors.ts';
import { type Filters, hasFilter, matchesExactly, matchesLabels, matchesPattern } from '#/base/filters.ts';
import { newId } from '#/base/ids.ts';
import { nowTimestamp } from '#/base/time.ts';
import { diskUsage } from '#/host/disk-usage.ts';
import { MeasuredSizes } from '#/host/measured-sizes.ts';
import type { Database } from '#/state/database.ts';
import type { EventLog } from '#/state/events.ts';
import { PruneTurn } from '#/state/prune-turn.ts';
import type { Volume } from '#/wire/generated.ts';
import type { VolumeDriver } from './driver.ts';
import { LocalVolumeDriver } from './local-driver.ts';

interface VolumeRecord {
  name: string;
  driver: string;
  created: string;
  labels: Record<string, string>;
  options: Record<string, string>;
  /** Made by the engine for one container: what `volume prune` takes without `all`. */
  anonymous: boolean;
}

export interface VolumeRequest {
  name?: string;
  driver?: string;
  options?: Record<string, string>;
  labels?: Record<string, string>;
  anonymous?: boolean;
}

/** Who uses a volume: the container room knows. */
export type VolumeUsers = (name: string) => string[];

/** Named volumes: their records, their users, and the drivers that keep the bytes. */
export class Volumes {
  readonly #database: Database;
  readonly #events: EventLog;
  readonly #drivers = new Map<string, VolumeDriver>();
  readonly #users: VolumeUsers;
  readonly #pruning: PruneTurn;
  readonly #sizes = new MeasuredSizes();

  constructor(options: { database: Database; events: EventLog; root: string; users: VolumeUsers }) {
    const { database, events, root, users } = options;
    this.#database = database;
    this.#events = events;
    this.#pruning = new PruneTurn(events, 'volume');
    this.#users = users;
    this.#drivers.set('local', new LocalVolumeDriver(root));
    database.migrate('volume', [
      'CREATE TABLE volumes (name TEXT PRIMARY KEY, record TEXT NOT NULL) STRICT, WITHOUT ROWID',
    ]);
    this.#tidy(root);
  }

  get drivers(): string[] {
    return [...this.#drivers.keys()];
  }

  /** Makes the volume, or finds the one of that name and driver. Throws in Docker's words. */
  async create(request: VolumeRequest): Promise<Volume> {
    const name = request.name || newId();
    if (name.length === 1) {
      throw invalid(
        `create ${name}: volume name is too short, names should be at least two alphanumeric characters`,
      );
    }
    if (!/^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/.test(name)) {
      throw invalid(
        `create ${name}: "${name}" includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path`,
      );
    }
    if (name.length > 255)
      throw invalid(`create ${name}: volume name is too long, maximum is 255 characters`);
    const driverName = request.driver || 'local';
    const driver = this.#driver(driverName, name);
    const existing = this.#find(name);
    if (existing !== undefined) {
      if (existing.driver !== driverName) {
        throw conflict(
          `create ${name}: a volume named ${name} already exists with the ${existing.driver} driver. Choose a different volume name`,
        );
      }
      return this.#view(existing);
    }
    const record: VolumeRecord = {
      name,
      driver: driverName,
      created: nowTimestamp(),
      labels: request.labels ?? {},
      options: request.options ?? {},
      anonymous: request.anonymous ?? !request.name,
    };
    if (record.anonymous) record.labels = { ...record.labels, 'com.docker.volume.anonymous': '' };
    await driver.create(record);
    this.#database.prepare('INSERT INTO volumes VALUES (?, ?)').run(name, JSON.stringify(record));
    this.#publish('create', record);
    return this.#view(record);
  }

  has(name: string): boolean {
    return this.#find(name) !== undefined;
  }

  inspect(name: string): Volume {
    return this.#view(this.#get(name));
  }

  list(filters: Filters = {}): Volume[] {
    const records = this.#all().filter(
      (record) =>
        (matchesExactly(filters, 'name', record.name) || matchesPattern(filters, 'name', record.name)) &&
        matchesExactly(filters, 'driver', record.driver) &&
        matchesLabels(filters, 'label', record.labels) &&
        this.#matchesDangling(filters, record),
    );
    return records.map((record) => this.#view(record));
  }

  /** Volumes with the bytes in each and how many containers have it; those with options are not this disk's, as for Docker. */
  async usage(): Promise<Volume[]> {
    return Promise.all(
      this.#all()
        .filter(isCounted)
        .map(async (record) => {
          const Size = await this.#sizes.of(this.#driver(record.driver, record.name).path(record.name));
          return { ...this.#view(record), UsageData: { Size, RefCount: this.#users(record.name).length } };
        }),
    );
  }

  /** `conflict` in Docker's words while a container uses it. With `force` a missing one is no error. */
  async remove(name: string, { force = false }: { force?: boolean } = {}): Promise<void> {
    const record = this.#find(name);
    if (record === undefined) {
      if (force) return;
      throw notFound(`get ${name}: no such volume`);
    }
    const users = this.#users(name);
    if (users.length > 0) throw conflict(`remove ${name}: volume is in use - [${users.join(', ')}]`);
    await this.#delete(record);
  }

  /** Deletes it unless something uses it or it is gone: what becomes of a container's anonymous volumes. */
  async removeUnused(name: string): Promise<void> {
    const record = this.#find(name);
    if (record !== undefined && this.#users(name).length === 0) await this.#delete(record);
  }

  /** Deletes unused volumes, anonymous ones only unless the filter `all` says otherwise. */
  prune(filters: Filters = {}): Promise<{ VolumesDeleted: string[]; SpaceReclaimed: number }> {
    return this.#pruning.run(() => this.#prune(filters));
  }

  async #prune(filters: Filters): Promise<{ VolumesDeleted: string[]; SpaceReclaimed: number }> {
    const all = hasFilter(filters, 'all') && matchesExactly(filters, 'all', 'true');
    const deleted: string[] = [];
    let reclaimed = 0;
    for (const record of this.#all()) {
      if ((!all && !record.anonymous) || !isCounted(record)) continue;
      if (!matchesLabels(filters, 'label', record.labels)) continue;
      if (hasFilter(filters, 'label!') && matchesLabels(filters, 'label!', record.labels)) continue;
      if (this.#users(record.name).length > 0) continue;
      reclaimed += await diskUsage(this.#driver(record.driver, record.name).path(record.name));
      await this.#delete(record);
      deleted.push(record.name);
    }
    return { VolumesDeleted: deleted, SpaceReclaimed: reclaimed };
  }

  /** The directory to mount into `holder`, for as long as that container runs. With `at` the world is told. */
  async mount(
    name: string,
    holder: string,
    at?: { destination: string; readWrite: boolean },
  ): Promise<string> {
    const record = this.#get(name);
    const driver = this.#driver(record.driver, name);
    const source = await driver.mount(record, holder);
    if (at !== undefined) {
      this.#publish('mount', record, {
        container: holder,
        destination: at.destination,
        propagation: '',
        'read/write': String(at.readWrite),
      });
    }
    return source;
  }

  async unmount(name: string, holder: string, { quiet = false } = {}): Promise<void> {
    const record = this.#find(name);
    if (record === undefined) return;
    await this.#driver(record.driver, name).unmount(record, holder);
    if (!quiet) this.#publish('unmount', record, { container: holder });
  }

  /** Counts a holder that the engine before this one had. */
  adopt(name: string, holder: string): void {
    const record = this.#find(name);
    if (record !== undefined) this.#driver(record.driver, name).adopt(record, holder);
  }

  /** Unmounts what nobody holds: left by an engine that was killed. After all holders are adopted. */
  async releaseUnheld(): Promise<void> {
    for (const record of this.#all()) await this.#driver(record.driver, record.name).unmount(record, '');
  }

  #driver(driver: string, volume: string): VolumeDriver {
    const found = this.#drivers.get(driver);
    if (found === undefined) {
      throw notFound(
        `create ${volume}: error looking up volume plugin ${driver}: plugin "${driver}" not found`,
      );
    }
    return found;
  }

  #find(name: string): VolumeRecord | undefined {
    const row = this.#database.prepare('SELECT record FROM volumes WHERE name = ?').get(name);
    return row === undefined ? undefined : (JSON.parse(String(row['record'])) as VolumeRecord);
  }

  #get(name: string): VolumeRecord {
    const record = this.#find(name);
    if (record === undefined) throw notFound(`get ${name}: no such volume`);
    return record;
  }

  #all(): VolumeRecord[] {
    return this.#database
      .prepare('SELECT record FROM volumes ORDER BY name')
      .all()
      .map((row) => JSON.parse(String(row['record'])) as VolumeRecord);
  }

  async #delete(record: VolumeRecord): Promise<void> {
    this.#database.transaction(
      () => this.#database.prepare('DELETE FROM volumes WHERE name = ?').run(record.name),
      { durable: true },
    );
    await this.#driver(record.driver, record.name).remove(record);
    this.#publish('destroy', record);
  }

  #matchesDangling(filters: Filters, record: VolumeRecord): boolean {
    if (!hasFilter(filters, 'dangling')) return true;
    const dangling = this.#users(record.name).length === 0;
    return ['1', 'true'].some((yes) => filters['dangling']?.includes(yes)) === dangling;
  }

  #view(record: VolumeRecord): Volume {
    return {
      CreatedAt: record.created.replace(/\.\d+/, ''),
      Driver: record.driver,
      Labels: record.labels,
      Mountpoint: this.#driver(record.driver, record.name).path(record.name),
      Name: record.name,
      Options: sorted(record.options),
      Scope: 'local',
    };
  }

  #publish(action: string, record: VolumeRecord, attributes: Record<string, string> = {}): void {
    this.#events.publish({
      type: 'volume',
      action,
      id: record.name,
      attributes: { driver: record.driver, ...attributes },
    });
  }

  /** What a kill in mid-removal left. */
  #tidy(root: string): void {
    try {
      for (const name of readdirSync(root)) {
        if (name.startsWith('.removed-')) rmSync(path.join(root, name), { recursive: true, force: true });
      }
    } catch (error) {
      if (errnoCode(error) !== 'ENOENT') throw error;
    }
  }
}

/** What takes space of its own: with options the bytes are elsewhere, and nothing is reclaimed by removing it. */
function isCounted({ options }: VolumeRecord): boolean {
  return Object.keys(options).length === 0;
}

/** As Go writes a map. */
function sorted(options: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(options).toSorted(([a], [b]) => (a < b ? -1 : 1)));
}
