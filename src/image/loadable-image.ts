import { invalid } from '#/base/errors.ts';
import { ANNOTATION_IMAGE_NAME, ANNOTATION_REF_NAME, type Descriptor } from '#/oci/descriptor.ts';
import type { Digest } from '#/oci/digest.ts';
import { isIndex, isIndexType, parseManifest, pickManifest } from '#/oci/manifest.ts';
import type { Platform } from '#/oci/platform.ts';
import { parseReference, type Reference, withDefaultTag } from '#/oci/reference.ts';
import type { ArchiveContents } from './archive-contents.ts';
import { parseImageConfig } from './image-config-blob.ts';

/** An image that an archive holds whole. */
export interface LoadableImage {
  config: Buffer;
  references: Reference[];
}

/**
 * The images of an archive: by `manifest.json`, as `docker save` has written it since 1.10, or else by the `index.json` of an
 * OCI image layout. Throws `invalid` when neither is there, or when a list and what it lists do not agree.
 */
export function loadableImages(contents: ArchiveContents, platform: Platform): LoadableImage[] {
  const list = contents.document('manifest.json');
  if (list !== undefined) return dockerImages(contents, list);
  const index = contents.document('index.json');
  if (index === undefined) throw invalid('invalid archive: does not contain a manifest.json');
  const parsed = parseManifest(index);
  if (!isIndex(parsed)) throw invalid('The image archive\'s "index.json" is no image index');
  return parsed.manifests.flatMap((descriptor) => ociImage(contents, descriptor, platform, 0) ?? []);
}

interface DockerItem {
  Config: string;
  RepoTags?: string[] | null;
  Layers?: string[] | null;
}

function dockerImages(contents: ArchiveContents, list: Buffer): LoadableImage[] {
  return dockerItems(list).map((item) => {
    const config = contents.document(item.Config);
    if (config === undefined)
      throw invalid(`The image archive lacks "${item.Config}", which its manifest names`);
    checkLayers(
      config,
      (item.Layers ?? []).map((name) => found(contents.layer(name), name)),
    );
    const references = (item.RepoTags ?? []).map((tag) => {
      const reference = parseReference(tag);
      if (reference.tag === undefined) throw invalid(`invalid tag ${JSON.stringify(tag)}`);
      return reference;
    });
    return { config, references };
  });
}

function dockerItems(list: Buffer): DockerItem[] {
  const parsed = parseJson(list, 'manifest.json');
  const isStrings = (value: unknown): boolean =>
    value === undefined ||
    value === null ||
    (Array.isArray(value) && value.every((item) => typeof item === 'string'));
  const isItem = (value: unknown): boolean =>
    typeof value === 'object' &&
    value !== null &&
    'Config' in value &&
    typeof value.Config === 'string' &&
    (!('RepoTags' in value) || isStrings(value.RepoTags)) &&
    (!('Layers' in value) || isStrings(value.Layers));
  if (!Array.isArray(parsed) || !parsed.every(isItem)) {
    throw invalid('The image archive\'s "manifest.json" is no list of images');
  }
  return parsed as DockerItem[];
}

/** Deeper than this no index has a reason to go. */
const DEEPEST = 4;

/** The image that a descriptor leads to; undefined for what is no image, as attestations are. */
function ociImage(
  contents: ArchiveContents,
  descriptor: Descriptor,
  platform: Platform,
  depth: number,
): LoadableImage | undefined {
  if (depth > DEEPEST) throw invalid('The image archive has indexes within indexes without end');
  const bytes = found(contents.blob(descriptor.digest), descriptor.digest);
  const manifest = parseManifest(bytes);
  let image: LoadableImage | undefined;
  if (isIndex(manifest) || isIndexType(descriptor.mediaType)) {
    if (!isIndex(manifest)) throw invalid(`The image archive's blob ${descriptor.digest} is no image index`);
    image = ociImage(contents, pickManifest(manifest, platform), platform, depth + 1);
  } else {
    if (descriptor.platform?.os === 'unknown') return undefined;
    const config = found(contents.blob(manifest.config.digest), manifest.config.digest);
    checkLayers(
      config,
      manifest.layers.map(({ digest }) => found(contents.layerBlob(digest), digest)),
    );
    image = { config, references: [] };
  }
  const name = nameOf(descriptor);
  if (name !== undefined) image?.references.push(name);
  return image;
}

/** A bare word in the specification's annotation is a tag of a repository that the archive does not name. */
function nameOf({ annotations = {} }: Descriptor): Reference | undefined {
  const name = annotations[ANNOTATION_IMAGE_NAME] ?? annotations[ANNOTATION_REF_NAME];
  if (name === undefined || !/[/:]/.test(name)) return undefined;
  const reference = withDefaultTag(parseReference(name));
  return reference.digest === undefined ? reference : undefined;
}

/** A configuration that lies about its layers would give its image another's files. */
function checkLayers(config: Buffer, layers: readonly Digest[]): void {
  const { os, rootfs } = parseImageConfig(config);
  if (os !== 'linux') throw invalid(`cannot load ${os} image on linux`);
  const { diff_ids: stated } = rootfs;
  if (stated.length !== layers.length) {
    throw invalid(
      `invalid manifest, layers length mismatch: expected ${stated.length}, got ${layers.length}`,
    );
  }
  stated.forEach((diffId, i) => {
    if (diffId !== layers[i]) {
      throw invalid(`invalid diffID for layer ${i}: expected "${diffId}", got "${layers[i]}"`);
    }
  });
}

function found<T>(value: T | undefined, name: string): T {
  if (value === undefined) throw invalid(`The image archive lacks "${name}", which its manifest names`);
  return value;
}

function parseJson(bytes: Buffer, name: string): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch (cause) {
    throw invalid(`The image archive's "${name}" is not JSON`, { cause });
  }
}
