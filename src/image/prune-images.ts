import { isKind } from '#/base/errors.ts';
import type { Filters } from '#/base/filters.ts';
import type { Digest } from '#/oci/digest.ts';
import { familiarReference } from '#/oci/reference.ts';
import type { ImageDeleteResponseItem, ImagePruneResponse } from '#/wire/generated.ts';
import { booleanFilter, checkFilterKeys, imageFilter } from './image-filter.ts';
import type { ImageLayers } from './image-layers.ts';
import type { ImageRecords } from './image-records.ts';
import type { ImageUsers } from './image-users.ts';
import type { ImageRemover } from './remove-image.ts';

const KEYS = ['dangling', 'label', 'label!', 'until'];

/** `POST /images/prune`: removes untagged images that nothing uses, or with `dangling=false` all that no container uses. */
export async function pruneImages(
  options: { records: ImageRecords; layers: ImageLayers; users: ImageUsers; remover: ImageRemover },
  filters: Filters,
  signal?: AbortSignal,
): Promise<ImagePruneResponse> {
  const { records, layers, users, remover } = options;
  checkFilterKeys(filters, KEYS);
  const danglingOnly = booleanFilter(filters, 'dangling', true);
  const isWanted = imageFilter(records, filters);
  const before = sizes(layers);
  const deleted: ImageDeleteResponseItem[] = [];
  for (const image of records.all()) {
    signal?.throwIfAborted();
    if (!isWanted(image) || users.usersOf(image.id).length > 0) continue;
    const names = records.references(image.id).map(familiarReference);
    if (names.length > 0 && danglingOnly) continue;
    if (names.length === 0 && records.children(image.id).length > 0) continue;
    for (const name of names.length > 0 ? names : [image.id]) {
      try {
        deleted.push(...(await remover.remove(name)));
      } catch (error) {
        // Somebody took it into use, or removed it, since it was listed.
        if (!isKind(error, 'conflict') && !isKind(error, 'notFound')) throw error;
      }
    }
  }
  await layers.settled();
  const after = sizes(layers);
  let reclaimed = 0;
  for (const [diffId, size] of before) if (!after.has(diffId)) reclaimed += size;
  return { ImagesDeleted: deleted, SpaceReclaimed: reclaimed };
}

function sizes(layers: ImageLayers): Map<Digest, number> {
  return new Map(layers.list().map((layer) => [layer.diffId, layer.size]));
}
