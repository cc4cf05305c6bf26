import { unixSeconds } from '#/base/time.ts';
import { familiarReference } from '#/oci/reference.ts';
import type { ImageLayers } from './image-layers.ts';
import type { ImageRecords } from './image-records.ts';

/** As the wire has it, but for `Tags`, which Docker sends as null where there are none. */
export interface ImageHistoryItem {
  Id: string;
  Created: number;
  CreatedBy: string;
  Tags: string[] | null;
  Size: number;
  Comment: string;
}

/** `GET /images/{name}/history`: the steps that made an image, newest first. */
export function imageHistory(records: ImageRecords, layers: ImageLayers, name: string): ImageHistoryItem[] {
  const image = records.resolve(name);
  let position = 0;
  const items = (image.config.history ?? []).map((entry): ImageHistoryItem => {
    const diffId = entry.empty_layer === true ? undefined : image.layers[position++];
    return {
      Id: '<missing>',
      Created: unixSeconds(entry.created),
      CreatedBy: entry.created_by ?? '',
      Tags: null,
      Size: diffId === undefined ? 0 : (layers.stat(diffId)?.size ?? 0),
      Comment: entry.comment ?? '',
    };
  });
  items.reverse();
  // The newest step is this image; those before are images of their own only where they were made here.
  let ancestor: typeof image | undefined = image;
  for (const item of items) {
    if (ancestor === undefined) break;
    item.Id = ancestor.id;
    const tags = records.references(ancestor.id).filter((reference) => reference.digest === undefined);
    item.Tags = tags.length === 0 ? null : tags.map(familiarReference);
    ancestor = ancestor.parent === undefined ? undefined : records.get(ancestor.parent);
  }
  return items;
}
