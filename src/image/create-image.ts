import type { Readable } from 'node:stream';
import { nowTimestamp } from '#/base/time.ts';
import type { Digest } from '#/oci/digest.ts';
import type { ImageConfig, ImageRunConfig } from '#/oci/image-config.ts';
import type { Reference } from '#/oci/reference.ts';
import type { ImageLayers } from './image-layers.ts';
import type { ImageRecord, ImageRecords } from './image-records.ts';

export interface NewImage {
  /** The uncompressed tar of the topmost layer. */
  layer: Readable;
  /** The image below it, with its layers, history and platform. */
  base?: ImageRecord;
  config: ImageRunConfig;
  platform: { os: string; architecture: string; variant?: string };
  author?: string;
  comment?: string;
  /** The history's words for what made the layer. */
  createdBy?: string;
  /** RFC 3339; now without it. */
  created?: string;
  reference?: Reference;
}

/** Makes an image of one new layer, on a base or on nothing: what import and commit have in common. Returns its id. */
export async function createImage(
  context: { records: ImageRecords; layers: ImageLayers },
  image: NewImage,
  signal?: AbortSignal,
): Promise<Digest> {
  const { records, layers } = context;
  const { base } = image;
  await using lease = layers.lease();
  for (const diffId of base?.layers ?? []) lease.add(diffId);
  const { diffId, size } = await layers.write(image.layer, lease, signal === undefined ? {} : { signal });
  const created = image.created ?? nowTimestamp();
  // Keys in the order of Docker's own configurations; the bytes are the image's identity.
  const config: ImageConfig = {
    architecture: image.platform.architecture,
    ...(image.platform.variant === undefined ? {} : { variant: image.platform.variant }),
    config: image.config,
    created,
    ...(image.author === undefined || image.author === '' ? {} : { author: image.author }),
    history: [
      ...(base?.config.history ?? []),
      {
        created,
        ...(image.createdBy === undefined || image.createdBy === '' ? {} : { created_by: image.createdBy }),
        ...(image.author === undefined || image.author === '' ? {} : { author: image.author }),
        ...(image.comment === undefined || image.comment === '' ? {} : { comment: image.comment }),
      },
    ],
    os: image.platform.os,
    rootfs: { type: 'layers', diff_ids: [...(base?.layers ?? []), diffId] },
  };
  return records.add(Buffer.from(JSON.stringify(config)), (base?.size ?? 0) + size, {
    ...(base === undefined ? {} : { parent: base.id }),
    ...(image.reference === undefined ? {} : { references: [image.reference] }),
  });
}
