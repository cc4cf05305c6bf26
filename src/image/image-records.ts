import { createHash } from 'node:crypto';
import { invalid, notFound } from '#/base/errors.ts';
import { nowTimestamp, unixSeconds } from '#/base/time.ts';
import { type Digest, digestFromHex, isDigest } from '#/oci/digest.ts';
import type { ImageConfig } from '#/oci/image-config.ts';
import {
  familiarReference,
  formatReference,
  parseReference,
  type Reference,
  repositoryName,
  withDefaultTag,
} from '#/oci/reference.ts';
import type { Database } from '#/state/database.ts';
import { parseImageConfig } from './image-config-blob.ts';

/** An image as the engine knows it. Immutable: its id is the digest of its configuration. */
export interface ImageRecord {
  id: Digest;
  config: ImageConfig;
  /** Diff ids, base first. */
  layers: Digest[];
  /** Sum of the layers' sizes, in bytes. */
  size: number;
  /** The image that it was committed or built on, where it was made here. */
  parent: Digest | undefined;
  /** RFC 3339: when a reference was last pointed at it; undefined before the first. */
  lastTagged: string | undefined;
}

const STEPS = [
  `CREATE TABLE images (
     id TEXT PRIMARY KEY,
     config BLOB NOT NULL,
     created INTEGER NOT NULL,
     size INTEGER NOT NULL,
     parent TEXT,
     last_tagged TEXT
   );
   CREATE INDEX images_parent ON images (parent);
   CREATE TABLE image_layers (
     image TEXT NOT NULL REFERENCES images (id) ON DELETE CASCADE,
     position INTEGER NOT NULL,
     diff_id TEXT NOT NULL,
     PRIMARY KEY (image, position)
   ) WITHOUT ROWID;
   CREATE INDEX image_layers_diff_id ON image_layers (diff_id);
   CREATE TABLE image_blobs (
     image TEXT NOT NULL REFERENCES images (id) ON DELETE CASCADE,
     digest TEXT NOT NULL,
     PRIMARY KEY (image, digest)
   ) WITHOUT ROWID;
   CREATE TABLE image_references (
     name TEXT PRIMARY KEY,
     repository TEXT NOT NULL,
     image TEXT NOT NULL REFERENCES images (id) ON DELETE CASCADE
   ) WITHOUT ROWID;
   CREATE INDEX image_references_image ON image_references (image);`,
];

/** The records of images and of the names that point at them. Every method is one read or one transaction. */
export class ImageRecords {
  readonly #database: Database;
  readonly #configs = new Map<Digest, ImageConfig>();

  constructor(database: Database) {
    this.#database = database;
    database.migrate('images', STEPS);
  }

  /** Records an image by the bytes of its configuration; one that is there already stays as it is. Returns its id. */
  add(
    configBytes: Buffer,
    size: number,
    options: { parent?: Digest; blobs?: readonly Digest[]; references?: readonly Reference[] } = {},
  ): Digest {
    const id = imageId(configBytes);
    const config = parseImageConfig(configBytes);
    this.#database.transaction(
      () => {
        const { changes } = this.#database
          .prepare('INSERT OR IGNORE INTO images (id, config, created, size, parent) VALUES (?, ?, ?, ?, ?)')
          .run(id, configBytes, unixSeconds(config.created), size, options.parent ?? null);
        if (changes > 0) {
          const insert = this.#database.prepare('INSERT INTO image_layers VALUES (?, ?, ?)');
          config.rootfs.diff_ids.forEach((diffId, position) => insert.run(id, position, diffId));
        }
        const insert = this.#database.prepare('INSERT OR IGNORE INTO image_blobs VALUES (?, ?)');
        for (const digest of options.blobs ?? []) insert.run(id, digest);
        for (const reference of options.references ?? []) this.point(reference, id);
      },
      // The layers are synced by now; the record that names them should be as safe.
      { durable: true },
    );
    return id;
  }

  /** Points a reference, which has a tag or a digest, at an image. Returns the image that it pointed at before. */
  point(reference: Reference, image: Digest): Digest | undefined {
    const name = formatReference(reference);
    return this.#database.transaction(() => {
      const before = this.#pointedAt(name);
      this.#database
        .prepare(
          `INSERT INTO image_references VALUES (?, ?, ?)
           ON CONFLICT (name) DO UPDATE SET image = excluded.image`,
        )
        .run(name, repositoryName(reference), image);
      this.#database.prepare('UPDATE images SET last_tagged = ? WHERE id = ?').run(nowTimestamp(), image);
      return before;
    });
  }

  unpoint(reference: Reference): void {
    this.#database
      .prepare('DELETE FROM image_references WHERE name = ?')
      .run(formatReference(withDefaultTag(reference)));
  }

  /** Deletes an image and every reference to it, durably: its layers may be deleted next. */
  delete(id: Digest): void {
    this.#database.transaction(() => this.#database.prepare('DELETE FROM images WHERE id = ?').run(id), {
      durable: true,
    });
    this.#configs.delete(id);
  }

  get(id: Digest): ImageRecord | undefined {
    const row = this.#database
      .prepare('SELECT id, size, parent, last_tagged FROM images WHERE id = ?')
      .get(id);
    return row === undefined ? undefined : this.#record(row);
  }

  all(): ImageRecord[] {
    return this.#database
      .prepare('SELECT id, size, parent, last_tagged FROM images ORDER BY created DESC, rowid DESC')
      .all()
      .map((row) => this.#record(row));
  }

  /** The very bytes of the configuration. */
  configBytes(id: Digest): Buffer {
    const row = this.#database.prepare('SELECT config FROM images WHERE id = ?').get(id);
    if (row === undefined) throw notFound(`No such image: ${id}`);
    return Buffer.from(row['config'] as Uint8Array);
  }

  children(id: Digest): Digest[] {
    const rows = this.#database.prepare('SELECT id FROM images WHERE parent = ?').all(id);
    return rows.map((row) => row['id'] as Digest);
  }

  /** What points at an image, sorted by name. */
  references(id: Digest): Reference[] {
    return this.#database
      .prepare('SELECT name FROM image_references WHERE image = ? ORDER BY name')
      .all(id)
      .map((row) => parseReference(String(row['name'])));
  }

  /** The tags of a reference's repository, sorted. */
  tagsOf(reference: Reference): Reference[] {
    return this.#database
      .prepare('SELECT name FROM image_references WHERE repository = ? ORDER BY name')
      .all(repositoryName(reference))
      .map((row) => parseReference(String(row['name'])))
      .filter(({ digest }) => digest === undefined);
  }

  /** The image that a reference points at, without any search by id. */
  pointedAt(reference: Reference): Digest | undefined {
    const named = withDefaultTag(reference);
    // With a digest the tag does not count: Docker's reference store keeps `name:tag@digest` as `name@digest`.
    const { tag: _, ...untagged } = named;
    return this.#pointedAt(formatReference(named.digest === undefined ? named : untagged));
  }

  /**
   * The image that a client means by a name, a name with tag or digest, an id or the beginning of one, by Docker's rules:
   * names go before ids. Throws `notFound` or `invalid` in Docker's words.
   */
  resolve(text: string): ImageRecord {
    const digest = /^[0-9a-f]{64}$/.test(text) ? digestFromHex(text) : text;
    if (isDigest(digest)) {
      const record = this.get(digest);
      if (record === undefined) throw notFound(`No such image: ${digest}`);
      return record;
    }
    const reference = parseReference(text);
    const id = this.pointedAt(reference) ?? this.#beginningWith(text);
    const record = id === undefined ? undefined : this.get(id);
    if (record === undefined) {
      throw notFound(`No such image: ${familiarReference(withDefaultTag(reference))}`);
    }
    return record;
  }

  /** Diff ids that some image has. */
  layersInUse(): Set<Digest> {
    const rows = this.#database.prepare('SELECT DISTINCT diff_id FROM image_layers').all();
    return new Set(rows.map((row) => row['diff_id'] as Digest));
  }

  blobsInUse(): Set<Digest> {
    const rows = this.#database.prepare('SELECT DISTINCT digest FROM image_blobs').all();
    return new Set(rows.map((row) => row['digest'] as Digest));
  }

  #pointedAt(name: string): Digest | undefined {
    const row = this.#database.prepare('SELECT image FROM image_references WHERE name = ?').get(name);
    return row?.['image'] as Digest | undefined;
  }

  /** By the first digits of an id, if only one has them. */
  #beginningWith(text: string): Digest | undefined {
    const digits = text.startsWith('sha256:') ? text.slice('sha256:'.length) : text;
    if (!/^[0-9a-f]+$/.test(digits)) return undefined;
    const rows = this.#database
      .prepare('SELECT id FROM images WHERE id >= ? AND id < ? LIMIT 2')
      .all(`sha256:${digits}`, `sha256:${digits}g`);
    return rows.length === 1 ? (rows[0]?.['id'] as Digest) : undefined;
  }

  #record(row: Record<string, unknown>): ImageRecord {
    const id = row['id'] as Digest;
    let config = this.#configs.get(id);
    if (config === undefined) {
      config = parseImageConfig(this.configBytes(id));
      this.#configs.set(id, config);
    }
    return {
      id,
      config,
      layers: config.rootfs.diff_ids,
      size: Number(row['size']),
      parent: (row['parent'] as Digest | null) ?? undefined,
      lastTagged: (row['last_tagged'] as string | null) ?? undefined,
    };
  }
}

export function imageId(configBytes: Buffer): Digest {
  return digestFromHex(createHash('sha256').update(configBytes).digest('hex'));
}

/** A reference that a client gives for a new name. Throws `invalid` in Docker's words. */
export function parseNewName(text: string): Reference {
  const reference = withDefaultTag(parseReference(text));
  if (reference.digest !== undefined) throw invalid('refusing to create a tag with a digest reference');
  if (familiarReference({ domain: reference.domain, path: reference.path }) === 'sha256') {
    throw invalid('refusing to create an ambiguous tag using digest algorithm as name');
  }
  return reference;
}
