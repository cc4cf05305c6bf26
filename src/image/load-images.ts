import type { Readable } from 'node:stream';
import { hostPlatform, type Platform } from '#/oci/platform.ts';
import { familiarReference } from '#/oci/reference.ts';
import type { EventLog } from '#/state/events.ts';
import { ArchiveContents } from './archive-contents.ts';
import { parseImageConfig } from './image-config-blob.ts';
import { publishImageEvent } from './image-events.ts';
import type { ImageLayers } from './image-layers.ts';
import { type ImageRecords, imageId } from './image-records.ts';
import { loadableImages } from './loadable-image.ts';
import { refuseOtherPlatforms } from './offered-platform.ts';
import type { Report } from './progress.ts';

export interface LoadOptions {
  /** No message per layer. */
  quiet?: boolean;
  /** Which image of a multi-platform one, the host's without it; others are `notFound`. */
  platform?: Platform | undefined;
}

/**
 * `POST /images/load`: an archive of `docker save` (of any age since 1.10) or an OCI image layout, plain or compressed. Images
 * become visible after the whole archive was read and checked; a bad one leaves nothing.
 */
export async function loadImages(
  context: { records: ImageRecords; layers: ImageLayers; events: EventLog },
  archive: Readable,
  options: LoadOptions,
  report: Report,
  signal?: AbortSignal,
): Promise<void> {
  const { records, layers, events } = context;
  await using lease = layers.lease();
  const contents = await ArchiveContents.read(archive, layers, lease, {
    ...(options.quiet === true ? {} : { report }),
    ...(signal === undefined ? {} : { signal }),
  });
  const images = loadableImages(contents, options.platform ?? hostPlatform());
  const wanted = options.platform === undefined ? [] : [options.platform];
  for (const { config, references } of images) {
    const name = references[0] === undefined ? imageId(config) : familiarReference(references[0]);
    refuseOtherPlatforms(name, parseImageConfig(config), wanted);
  }
  for (const { config, references } of images) {
    const { rootfs } = parseImageConfig(config);
    const size = rootfs.diff_ids.reduce((sum, diffId) => sum + (layers.stat(diffId)?.size ?? 0), 0);
    for (const reference of references) {
      const old = records.pointedAt(reference);
      if (old === undefined || old === imageId(config)) continue;
      const name = familiarReference(reference);
      report({
        stream: `The image ${name} already exists, renaming the old one with ID ${old} to empty string\n`,
      });
    }
    const id = records.add(config, size, { references });
    publishImageEvent(events, 'load', records.resolve(id), id);
    for (const reference of references) {
      report({ stream: `Loaded image: ${familiarReference(reference)}\n` });
    }
    if (references.length === 0) report({ stream: `Loaded image ID: ${id}\n` });
  }
}
