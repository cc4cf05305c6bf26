import { createHash, type Hash } from 'node:crypto';
import { createReadStream, existsSync } from 'node:fs';
import { mkdir, open, opendir, readdir, rename, rm, stat, type FileHandle } from 'node:fs/promises';
import path from 'node:path';
import { Readable } from 'node:stream';
import { errnoCode, invalid, notFound } from '#/base/errors.ts';
import { KeyedLock } from '#/base/locks.ts';
import { readToEnd } from '#/base/streams.ts';
import { type Digest, digestFromHex, digestHex, isDigest, parseDigest } from '#/oci/digest.ts';
import type { BlobInfo, ContentStore, ContentWriter } from './content-store.ts';

const LIMIT = 4 * 1024 * 1024;
/** A write that was cut off is kept this long to be taken up again. */
const RESUMABLE_MS = 86_400_000;

/**
 * Blobs as files: `<root>/blobs/sha256/<hex>`, the layout of an OCI image-layout, and `<root>/ingest/<sha256 of the ref>`
 * for writes in progress. A blob is synced before it is renamed into place, and the directory after, so that what `commit`
 * acknowledged survives a power cut.
 */
export class DirectoryContentStore implements ContentStore {
  readonly #blobs: string;
  readonly #ingest: string;
  readonly #refs = new KeyedLock();

  private constructor(root: string) {
    this.#blobs = path.join(root, 'blobs', 'sha256');
    this.#ingest = path.join(root, 'ingest');
  }

  /** Makes the directories where they are missing and deletes old remains of cut-off writes. */
  static async open(root: string): Promise<DirectoryContentStore> {
    const store = new DirectoryContentStore(root);
    await mkdir(store.#blobs, { recursive: true, mode: 0o700 });
    await mkdir(store.#ingest, { recursive: true, mode: 0o700 });
    const before = Date.now() - RESUMABLE_MS;
    for (const name of await readdir(store.#ingest)) {
      const file = path.join(store.#ingest, name);
      const { mtimeMs } = await stat(file);
      if (mtimeMs < before) await rm(file, { recursive: true });
    }
    return store;
  }

  async info(digest: Digest): Promise<BlobInfo | undefined> {
    try {
      const { size, mtime } = await stat(this.#path(digest));
      return { digest, size, modified: mtime };
    } catch (error) {
      if (errnoCode(error) === 'ENOENT') return undefined;
      throw error;
    }
  }

  read(digest: Digest, range: { offset?: number; length?: number } = {}): Readable {
    const file = this.#path(digest);
    if (!existsSync(file)) {
      return new Readable({
        read() {
          this.destroy(missing(digest));
        },
      });
    }
    const start = range.offset ?? 0;
    if (range.length === 0) return Readable.from([]);
    const end = range.length === undefined ? undefined : start + range.length - 1;
    return createReadStream(file, {
      start,
      ...(end === undefined ? {} : { end }),
      highWaterMark: 256 * 1024,
    });
  }

  async readAll(digest: Digest, limit = LIMIT): Promise<Buffer> {
    const info = await this.info(digest);
    if (info === undefined) throw missing(digest);
    if (info.size > limit) {
      throw invalid(`Cannot read blob "${digest}" at once: it has ${info.size} bytes, the limit is ${limit}`);
    }
    return readToEnd(this.read(digest), limit);
  }

  async write(ref: string): Promise<ContentWriter> {
    const name = createHash('sha256').update(ref).digest('hex');
    const lock = await this.#refs.acquire(name);
    try {
      return await BlobWriter.open(path.join(this.#ingest, name), this.#blobs, lock);
    } catch (error) {
      lock[Symbol.dispose]();
      throw error;
    }
  }

  async put(bytes: Buffer): Promise<Digest> {
    const digest = digestFromHex(createHash('sha256').update(bytes).digest('hex'));
    if (existsSync(this.#path(digest))) return digest;
    await using writer = await this.write(`put ${digest}`);
    if (writer.offset < bytes.length) await writer.append(bytes.subarray(writer.offset));
    return writer.commit({ digest, size: bytes.length });
  }

  async *list(): AsyncIterable<BlobInfo> {
    for await (const entry of await opendir(this.#blobs)) {
      const digest = `sha256:${entry.name}`;
      if (!isDigest(digest)) continue;
      const info = await this.info(digest);
      if (info !== undefined) yield info;
    }
  }

  async remove(digest: Digest): Promise<void> {
    await rm(this.#path(digest), { force: true });
  }

  /** Every path is made here: only a whole digest becomes part of one. */
  #path(digest: Digest): string {
    return path.join(this.#blobs, digestHex(parseDigest(digest)));
  }
}

function missing(digest: Digest): Error {
  return notFound(`No such blob: ${digest}`);
}

class BlobWriter implements ContentWriter {
  readonly #file: string;
  readonly #blobs: string;
  readonly #handle: FileHandle;
  readonly #hash: Hash;
  readonly #lock: Disposable;
  #offset: number;
  #open = true;

  private constructor(
    file: string,
    blobs: string,
    handle: FileHandle,
    hash: Hash,
    offset: number,
    lock: Disposable,
  ) {
    this.#file = file;
    this.#blobs = blobs;
    this.#handle = handle;
    this.#hash = hash;
    this.#offset = offset;
    this.#lock = lock;
  }

  static async open(file: string, blobs: string, lock: Disposable): Promise<BlobWriter> {
    const handle = await open(file, 'a+', 0o600);
    try {
      // The state of a hash cannot be kept over a restart, so what an earlier attempt wrote is hashed again.
      const hash = createHash('sha256');
      let offset = 0;
      for await (const chunk of handle.createReadStream({ start: 0, autoClose: false })) {
        hash.update(chunk as Buffer);
        offset += (chunk as Buffer).length;
      }
      return new BlobWriter(file, blobs, handle, hash, offset, lock);
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  get offset(): number {
    return this.#offset;
  }

  async append(chunk: Buffer): Promise<void> {
    this.#hash.update(chunk);
    let written = 0;
    while (written < chunk.length) {
      const { bytesWritten } = await this.#handle.write(chunk, written);
      written += bytesWritten;
    }
    this.#offset += chunk.length;
  }

  async commit(expected: { digest?: Digest; size?: number } = {}): Promise<Digest> {
    const digest = digestFromHex(this.#hash.copy().digest('hex'));
    try {
      if (expected.size !== undefined && expected.size !== this.#offset) {
        throw invalid(`unexpected commit size ${this.#offset}, expected ${expected.size}`);
      }
      if (expected.digest !== undefined && expected.digest !== digest) {
        throw invalid(`unexpected commit digest ${digest}, expected ${expected.digest}`);
      }
      await this.#handle.datasync();
    } catch (error) {
      await this.#close();
      await rm(this.#file, { force: true });
      throw error;
    }
    await rename(this.#file, path.join(this.#blobs, digestHex(digest)));
    await syncDirectory(this.#blobs);
    await this.#close();
    return digest;
  }

  async #close(): Promise<void> {
    if (!this.#open) return;
    this.#open = false;
    await this.#handle.close();
    this.#lock[Symbol.dispose]();
  }

  /** Without a commit before, what was written stays for a later writer of the same ref. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#close();
  }
}

async function syncDirectory(directory: string): Promise<void> {
  await using handle = await open(directory, 'r');
  await handle.sync();
}
