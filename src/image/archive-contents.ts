import { createHash, type Hash } from 'node:crypto';
import path from 'node:path';
import { Readable } from 'node:stream';
import { openCompressed } from '#/archive/compression.ts';
import { readTar, type TarMember } from '#/archive/tar-reader.ts';
import { textOf } from '#/archive/tar-entry.ts';
import { invalid } from '#/base/errors.ts';
import { shortId } from '#/base/ids.ts';
import { type Digest, digestFromHex, digestHex } from '#/oci/digest.ts';
import { contentKind, SNIFFED } from './content-kind.ts';
import type { ImageLayers, LayerLease } from './image-layers.ts';
import { completed, type Report } from './progress.ts';

/** What may stand in an archive beside layers: configurations, manifests, lists. */
const DOCUMENT_LIMIT = 4 * 1024 * 1024;
const DOCUMENTS_LIMIT = 64 * 1024 * 1024;
const MEMBERS_LIMIT = 100_000;
const LINKS_LIMIT = 16;

/**
 * What an image archive holds, read in one pass: a layer is written while it passes, whatever comes before or after it in
 * the archive, so that nothing is kept on the disk twice; small documents are kept in memory. Which layers belong to which
 * image is decided after the end; what belongs to none is garbage.
 */
export class ArchiveContents {
  readonly #documents = new Map<string, Buffer>();
  readonly #layers = new Map<string, Digest>();
  readonly #links = new Map<string, string>();

  static async read(
    archive: Readable,
    layers: ImageLayers,
    lease: LayerLease,
    options: { report?: Report; signal?: AbortSignal } = {},
  ): Promise<ArchiveContents> {
    const contents = new ArchiveContents();
    let members = 0;
    let documents = 0;
    for await (const member of readTar((await openCompressed(archive)).stream)) {
      options.signal?.throwIfAborted();
      members += 1;
      if (members > MEMBERS_LIMIT) throw invalid(`The image archive has more than ${MEMBERS_LIMIT} members`);
      const { entry } = member;
      const name = archivePath(textOf(entry.name));
      if (entry.type === 'symlink') {
        contents.#links.set(name, path.posix.join(path.posix.dirname(name), textOf(entry.linkName)));
      } else if (entry.type === 'hardlink') {
        contents.#links.set(name, archivePath(textOf(entry.linkName)));
      } else if (entry.type === 'file') {
        const document = await contents.#take(name, member, layers, lease, options);
        documents += document;
        if (documents > DOCUMENTS_LIMIT) {
          throw invalid(`The image archive has more than ${DOCUMENTS_LIMIT} bytes beside its layers`);
        }
      }
    }
    return contents;
  }

  /** The bytes of a document, or undefined. */
  document(name: string): Buffer | undefined {
    return this.#documents.get(this.#resolve(name));
  }

  /** The diff id of a layer, or undefined. */
  layer(name: string): Digest | undefined {
    return this.#layers.get(this.#resolve(name));
  }

  blob(digest: Digest): Buffer | undefined {
    return this.document(blobPath(digest));
  }

  layerBlob(digest: Digest): Digest | undefined {
    return this.layer(blobPath(digest));
  }

  #resolve(name: string): string {
    let resolved = archivePath(name);
    for (let i = 0; i < LINKS_LIMIT; i += 1) {
      const target = this.#links.get(resolved);
      if (target === undefined) return resolved;
      resolved = target;
    }
    throw invalid(`The image archive's "${name}" is a link to itself`);
  }

  /** Returns how many bytes of memory it takes. */
  async #take(
    name: string,
    { entry, data }: TarMember,
    layers: ImageLayers,
    lease: LayerLease,
    options: { report?: Report; signal?: AbortSignal },
  ): Promise<number> {
    const stated = /^blobs\/sha256\/([0-9a-f]{64})$/.exec(name)?.[1];
    const expected = stated === undefined ? undefined : digestFromHex(stated);
    const chunks = data();
    const head: Buffer[] = [];
    let length = 0;
    while (length < SNIFFED) {
      const { done, value } = await chunks.next();
      if (done === true) break;
      head.push(value);
      length += value.length;
    }
    const kind = contentKind(Buffer.concat(head).subarray(0, SNIFFED));
    const whole = replay(head, chunks);
    if (kind === 'other') {
      if (entry.size > DOCUMENT_LIMIT) {
        for await (const _ of whole);
        return 0;
      }
      const bytes = Buffer.concat(await Array.fromAsync(whole));
      const hash = createHash('sha256').update(bytes);
      if (expected !== undefined) checkDigest(name, expected, hash);
      this.#documents.set(name, bytes);
      return bytes.length;
    }
    if (kind === 'tar' && expected !== undefined) lease.add(expected);
    if (kind === 'tar' && expected !== undefined && layers.stat(expected) !== undefined) {
      // It is here already, under the name of its content: nothing to write, and nothing to trust.
      for await (const _ of whole);
      this.#layers.set(name, expected);
      return 0;
    }
    const hash = createHash('sha256');
    const source = Readable.from(kind === 'tar' ? whole : hashed(whole, hash), { objectMode: false });
    const { diffId } = await layers.write(
      kind === 'tar' ? source : (await openCompressed(source)).stream,
      lease,
      {
        ...(kind === 'tar' && expected !== undefined ? { expected } : {}),
        ...(options.signal === undefined ? {} : { signal: options.signal }),
      },
    );
    if (kind === 'compressed' && expected !== undefined) {
      // A decompressor stops at its stream's end, before what may follow in the blob.
      for await (const chunk of chunksLeft(chunks)) hash.update(chunk);
      checkDigest(name, expected, hash);
    }
    this.#layers.set(name, diffId);
    options.report?.(completed('Loading layer', shortId(digestHex(diffId)), entry.size));
    return 0;
  }
}

/** A name as the archive's own lists write it: relative, without `.` and `..`. */
function archivePath(name: string): string {
  return path.posix.join('/', name).slice(1);
}

function blobPath(digest: Digest): string {
  return `blobs/sha256/${digestHex(digest)}`;
}

function checkDigest(name: string, expected: Digest, hash: Hash): void {
  const found = digestFromHex(hash.digest('hex'));
  if (found !== expected) throw invalid(`The image archive's "${name}" has the digest ${found}`);
}

async function* replay(head: readonly Buffer[], rest: AsyncIterator<Buffer>): AsyncGenerator<Buffer> {
  yield* head;
  yield* chunksLeft(rest);
}

async function* chunksLeft(rest: AsyncIterator<Buffer>): AsyncGenerator<Buffer> {
  for (;;) {
    const { done, value } = await rest.next();
    if (done === true) return;
    yield value;
  }
}

async function* hashed(source: AsyncIterable<Buffer>, hash: Hash): AsyncGenerator<Buffer> {
  for await (const chunk of source) {
    hash.update(chunk);
    yield chunk;
  }
}
