import { invalid, notFound } from '#/base/errors.ts';
import { type Descriptor, MEDIA_TYPES } from './descriptor.ts';
import { isDigest } from './digest.ts';
import { formatPlatform, type Platform, platformRank } from './platform.ts';

/** An image for one platform (OCI image-spec manifest.md; Docker's schema 2 has the same shape). */
export interface Manifest {
  schemaVersion: 2;
  mediaType?: string;
  config: Descriptor;
  /** Base first. */
  layers: Descriptor[];
  annotations?: Record<string, string>;
}

/** Manifests for several platforms (OCI image-spec image-index.md; Docker's manifest list has the same shape). */
export interface Index {
  schemaVersion: 2;
  mediaType?: string;
  manifests: Descriptor[];
  annotations?: Record<string, string>;
}

export function isIndexType(mediaType: string): boolean {
  return mediaType === MEDIA_TYPES.ociIndex || mediaType === MEDIA_TYPES.dockerManifestList;
}

export function isManifestType(mediaType: string): boolean {
  return mediaType === MEDIA_TYPES.ociManifest || mediaType === MEDIA_TYPES.dockerManifest;
}

/** Parses the bytes of a manifest or index and checks the shape of every descriptor in it. Throws `invalid`. */
export function parseManifest(bytes: Buffer): Manifest | Index {
  let parsed: unknown;
  try {
    parsed = JSON.parse(bytes.toString('utf8'));
  } catch (cause) {
    throw invalid(`Cannot read the image manifest: it is not JSON`, { cause });
  }
  if (!isObject(parsed) || parsed['schemaVersion'] !== 2) {
    throw invalid('Cannot read the image manifest: only schema version 2 is supported');
  }
  if (Array.isArray(parsed['manifests'])) {
    parsed['manifests'].forEach(checkDescriptor);
    return parsed as unknown as Index;
  }
  if (!Array.isArray(parsed['layers'])) {
    throw invalid('Cannot read the image manifest: it has neither layers nor manifests');
  }
  checkDescriptor(parsed['config']);
  parsed['layers'].forEach(checkDescriptor);
  return parsed as unknown as Manifest;
}

export function isIndex(manifest: Manifest | Index): manifest is Index {
  return 'manifests' in manifest;
}

function checkDescriptor(value: unknown): void {
  if (
    !isObject(value) ||
    typeof value['digest'] !== 'string' ||
    !isDigest(value['digest']) ||
    typeof value['mediaType'] !== 'string' ||
    !Number.isSafeInteger(value['size']) ||
    (value['size'] as number) < 0
  ) {
    throw invalid(`Cannot read the image manifest: bad descriptor ${JSON.stringify(value)?.slice(0, 200)}`);
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * The manifest of an index that serves a platform best. Ones without a platform come last; attestations, which say
 * `unknown/unknown`, never. `notFound` in Docker's words when none fits.
 */
export function pickManifest(index: Index, wanted: Platform): Descriptor {
  let best: { rank: number; descriptor: Descriptor } | undefined;
  for (const descriptor of index.manifests) {
    const { platform } = descriptor;
    if (!isManifestType(descriptor.mediaType) && !isIndexType(descriptor.mediaType)) continue;
    const rank = platform === undefined ? Number.MAX_SAFE_INTEGER : platformRank(wanted, platform);
    if (rank !== undefined && (best === undefined || rank < best.rank)) best = { rank, descriptor };
  }
  if (best === undefined) {
    throw notFound(`no matching manifest for ${formatPlatform(wanted)} in the manifest list entries`);
  }
  return best.descriptor;
}
