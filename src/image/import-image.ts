import type { Readable } from 'node:stream';
import { openCompressed } from '#/archive/compression.ts';
import type { Digest } from '#/oci/digest.ts';
import { hostPlatform, type Platform } from '#/oci/platform.ts';
import { familiarReference } from '#/oci/reference.ts';
import type { EventLog } from '#/state/events.ts';
import { applyChanges } from './config-change.ts';
import { createImage } from './create-image.ts';
import { publishImageEvent } from './image-events.ts';
import type { ImageLayers } from './image-layers.ts';
import { type ImageRecords, parseNewName } from './image-records.ts';

export interface ImportOptions {
  /** `repository[:tag]`; no name without it. */
  name?: string;
  message?: string;
  /** Dockerfile instructions. */
  changes?: readonly string[];
  platform?: Platform;
  /** RFC 3339; now without it. */
  created?: string;
}

/** `POST /images/create?fromSrc=-`: an image of one layer from the tar of a root filesystem, plain or compressed. Returns its id. */
export async function importImage(
  context: { records: ImageRecords; layers: ImageLayers; events: EventLog },
  tar: Readable,
  options: ImportOptions,
  signal?: AbortSignal,
): Promise<Digest> {
  const { records, events } = context;
  const reference = options.name === undefined ? undefined : parseNewName(options.name);
  const config = applyChanges({}, options.changes ?? []);
  const id = await createImage(
    context,
    {
      layer: (await openCompressed(tar)).stream,
      config,
      platform: options.platform ?? hostPlatform(),
      comment: options.message ?? 'Imported from -',
      ...(options.created === undefined ? {} : { created: options.created }),
      ...(reference === undefined ? {} : { reference }),
    },
    signal,
  );
  const image = records.resolve(id);
  if (reference !== undefined) publishImageEvent(events, 'tag', image, familiarReference(reference));
  publishImageEvent(events, 'import', image, id);
  return id;
}
