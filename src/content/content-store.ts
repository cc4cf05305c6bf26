import type { Readable } from 'node:stream';
import type { Digest } from '#/oci/digest.ts';

/**
 * Blobs as they were received: manifests, configurations and compressed layers, named by the sha256 of their bytes.
 *
 * A blob is written through a *writer*, which has a *ref*: a name for the write in progress ("layer sha256:…"), by which a
 * cut-off write can be taken up again. Bytes are visible only after `commit`, which checks digest and size, makes them
 * durable and renames them into place. There is one writer per ref at a time; a second one waits its turn.
 *
 * The store never decides what may be deleted: garbage collection does.
 */
export interface ContentStore {
  info(digest: Digest): Promise<BlobInfo | undefined>;
  /** Streams `length` bytes from `offset`. `notFound` when there is no such blob. */
  read(digest: Digest, range?: { offset?: number; length?: number }): Readable;
  /** The whole blob, for manifests and configurations. `notFound`; `invalid` when it is over `limit` (default 4 MiB). */
  readAll(digest: Digest, limit?: number): Promise<Buffer>;
  write(ref: string): Promise<ContentWriter>;
  /** Writes a small blob in one go and returns its digest. */
  put(bytes: Buffer): Promise<Digest>;
  list(): AsyncIterable<BlobInfo>;
  /** No error when there is none. */
  remove(digest: Digest): Promise<void>;
}

export interface ContentWriter extends AsyncDisposable {
  /** Bytes already there from an earlier attempt, and since. */
  readonly offset: number;
  append(chunk: Buffer): Promise<void>;
  /** `invalid` when digest or size are not what came; then nothing stays. Returns the digest of what came. */
  commit(expected?: { digest?: Digest; size?: number }): Promise<Digest>;
}

export interface BlobInfo {
  digest: Digest;
  /** In bytes. */
  size: number;
  modified: Date;
}
