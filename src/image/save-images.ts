import { createHash } from 'node:crypto';
import type { Readable } from 'node:stream';
import { byteString } from '#/archive/tar-entry.ts';
import { type NewTarMember, writeTar } from '#/archive/tar-writer.ts';
import { isKind, notFound } from '#/base/errors.ts';
import {
  ANNOTATION_IMAGE_NAME,
  ANNOTATION_REF_NAME,
  type Descriptor,
  MEDIA_TYPES,
} from '#/oci/descriptor.ts';
import { type Digest, digestFromHex, digestHex } from '#/oci/digest.ts';
import type { Index, Manifest } from '#/oci/manifest.ts';
import type { Platform } from '#/oci/platform.ts';
import {
  familiarName,
  familiarReference,
  formatReference,
  parseReference,
  type Reference,
} from '#/oci/reference.ts';
import type { EventLog } from '#/state/events.ts';
import { publishImageEvent } from './image-events.ts';
import type { ImageLayers } from './image-layers.ts';
import type { ImageRecord, ImageRecords } from './image-records.ts';
import { refuseOtherPlatforms } from './offered-platform.ts';

interface SavedImage {
  image: ImageRecord;
  tags: Reference[];
}

/**
 * `GET /images/get`: one archive that is both what `docker save` writes and an OCI image layout, as a stream. Names are looked
 * up before this returns; a repository without a tag stands for all of its tags. The lists come first and layers last, so
 * that a reader of the stream can know what it wants.
 */
export async function saveImages(
  context: { records: ImageRecords; layers: ImageLayers; events: EventLog },
  names: readonly string[],
  { platforms }: { platforms?: readonly Platform[] } = {},
  signal?: AbortSignal,
): Promise<Readable> {
  signal?.throwIfAborted();
  const images = chooseImages(context.records, names);
  for (const { image, tags } of images) {
    refuseOtherPlatforms(
      tags[0] === undefined ? image.id : familiarReference(tags[0]),
      image.config,
      platforms,
    );
  }
  const lease = context.layers.lease();
  for (const { image } of images) image.layers.forEach((diffId) => lease.add(diffId));
  const stream = writeTar(members(context, images));
  // Whether it is read to its end, destroyed or never read: the layers are let go with the stream.
  stream.once('close', () => {
    // After a shutdown the lease is gone with its process.
    Promise.resolve(lease[Symbol.asyncDispose]()).catch(() => {});
  });
  signal?.addEventListener('abort', () => stream.destroy(), { once: true });
  return stream;
}

function chooseImages(records: ImageRecords, names: readonly string[]): SavedImage[] {
  const chosen = new Map<Digest, SavedImage>();
  const choose = (image: ImageRecord, tags: readonly Reference[]): void => {
    const saved = chosen.get(image.id) ?? { image, tags: [] };
    chosen.set(image.id, saved);
    for (const tag of tags) {
      const name = formatReference(tag);
      if (!saved.tags.some((other) => formatReference(other) === name)) saved.tags.push(tag);
    }
  };
  for (const name of names) {
    // An image that is meant by its id is saved without names.
    const isId = name.startsWith('sha256:') || /^[0-9a-f]{64}$/.test(name);
    const reference = isId ? undefined : parseReference(name);
    const isRepository = reference?.tag === undefined && reference?.digest === undefined;
    const tags = reference !== undefined && isRepository ? records.tagsOf(reference) : [];
    for (const tag of tags) choose(records.resolve(formatReference(tag)), [tag]);
    if (tags.length > 0) continue;
    const image = found(records, name, isRepository);
    choose(image, reference?.tag !== undefined && reference.digest === undefined ? [reference] : []);
  }
  return [...chosen.values()];
}

/** In save's own words for what is not there, which are not those of the other verbs. */
function found(records: ImageRecords, name: string, isRepository: boolean): ImageRecord {
  try {
    return records.resolve(name);
  } catch (error) {
    if (!isKind(error, 'notFound')) throw error;
    throw notFound(isRepository ? `No such image: ${name}` : 'reference does not exist', { cause: error });
  }
}

async function* members(
  context: { records: ImageRecords; layers: ImageLayers; events: EventLog },
  images: readonly SavedImage[],
): AsyncGenerator<NewTarMember> {
  const { records, layers, events } = context;
  const documents = new Map<string, Buffer>();
  const index: Index = { schemaVersion: 2, mediaType: MEDIA_TYPES.ociIndex, manifests: [] };
  const list: object[] = [];
  const repositories: Record<string, Record<string, string>> = {};
  const diffIds = new Set<Digest>();
  for (const { image, tags } of images) {
    const config = records.configBytes(image.id);
    const manifest: Manifest = {
      schemaVersion: 2,
      mediaType: MEDIA_TYPES.ociManifest,
      config: { mediaType: MEDIA_TYPES.ociConfig, digest: image.id, size: config.length },
      layers: [],
    };
    for (const diffId of image.layers) {
      diffIds.add(diffId);
      const size = await layers.tarSize(diffId);
      manifest.layers.push({ mediaType: MEDIA_TYPES.ociLayer, digest: diffId, size });
    }
    const bytes = Buffer.from(JSON.stringify(manifest));
    const digest = digestFromHex(createHash('sha256').update(bytes).digest('hex'));
    documents.set(blobPath(image.id), config);
    documents.set(blobPath(digest), bytes);
    const { os, architecture, variant } = image.config;
    const descriptor: Descriptor = {
      mediaType: MEDIA_TYPES.ociManifest,
      digest,
      size: bytes.length,
      platform: { architecture, os, ...(variant === undefined ? {} : { variant }) },
    };
    index.manifests.push(
      ...(tags.length === 0 ? [descriptor] : tags.map((tag) => annotated(descriptor, tag))),
    );
    list.push({
      Config: blobPath(image.id),
      RepoTags: tags.length === 0 ? null : tags.map(familiarReference),
      Layers: image.layers.map(blobPath),
    });
    for (const tag of tags) {
      const name = familiarName(tag);
      repositories[name] = {
        ...repositories[name],
        [tag.tag ?? '']: digestHex(image.layers.at(-1) ?? image.id),
      };
    }
  }
  yield document('oci-layout', { imageLayoutVersion: '1.0.0' });
  yield document('index.json', index);
  yield document('manifest.json', list);
  if (Object.keys(repositories).length > 0) yield document('repositories', repositories);
  yield directory('blobs/');
  yield directory('blobs/sha256/');
  for (const [name, data] of documents) yield { entry: { name: byteString(name) }, data };
  for (const diffId of diffIds) {
    const size = await layers.tarSize(diffId);
    yield { entry: { name: byteString(blobPath(diffId)), size }, data: layers.read(diffId) };
  }
  for (const { image } of images) publishImageEvent(events, 'save', image, image.id);
}

function annotated(descriptor: Descriptor, tag: Reference): Descriptor {
  return {
    ...descriptor,
    annotations: {
      [ANNOTATION_IMAGE_NAME]: formatReference(tag),
      [ANNOTATION_REF_NAME]: tag.tag ?? 'latest',
    },
  };
}

function blobPath(digest: Digest): string {
  return `blobs/sha256/${digestHex(digest)}`;
}

function document(name: string, value: object): NewTarMember {
  return { entry: { name: byteString(name) }, data: Buffer.from(`${JSON.stringify(value)}\n`) };
}

function directory(name: string): NewTarMember {
  return { entry: { name: byteString(name), type: 'directory' } };
}
