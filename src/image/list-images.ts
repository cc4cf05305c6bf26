import { type Filters, hasFilter } from '#/base/filters.ts';
import { unixSeconds } from '#/base/time.ts';
import { familiarReference, type Reference } from '#/oci/reference.ts';
import type { ImageSummary } from '#/wire/generated.ts';
import { chainIds } from './chain-id.ts';
import { booleanFilter, checkFilterKeys, imageFilter, wantedReferences } from './image-filter.ts';
import type { ImageLayers } from './image-layers.ts';
import type { ImageRecord, ImageRecords } from './image-records.ts';
import type { ImageUsers } from './image-users.ts';

export interface ListImagesOptions {
  /** Untagged images that others were built on too. */
  all?: boolean;
  filters?: Filters;
  /** Compute `SharedSize`, else -1. */
  sharedSize?: boolean;
  /** Count `Containers`, else -1. */
  containers?: boolean;
}

const KEYS = ['dangling', 'label', 'label!', 'before', 'since', 'reference', 'until'];

/** `GET /images/json`, newest first. From records alone. */
export function listImages(
  records: ImageRecords,
  layers: ImageLayers,
  users: ImageUsers,
  options: ListImagesOptions = {},
): ImageSummary[] {
  const { filters = {} } = options;
  checkFilterKeys(filters, KEYS);
  const dangling = booleanFilter(filters, 'dangling', undefined);
  const isWanted = imageFilter(records, filters);
  const chosen: { image: ImageRecord; references: Reference[] }[] = [];
  for (const image of records.all()) {
    if (!isWanted(image)) continue;
    const all = records.references(image.id);
    const references = wantedReferences(filters, all);
    if (hasFilter(filters, 'reference') && references.length === 0) continue;
    if (dangling !== undefined && dangling !== (all.length === 0)) continue;
    const isIntermediate = all.length === 0 && records.children(image.id).length > 0;
    if (isIntermediate && (options.all !== true || dangling === true)) continue;
    chosen.push({ image, references });
  }
  const sharing = options.sharedSize === true ? sharers(records) : undefined;
  return chosen.map(({ image, references }) => ({
    Id: image.id,
    ParentId: image.parent ?? '',
    ...repoNames(references),
    Created: unixSeconds(image.config.created),
    Size: image.size,
    SharedSize: sharing === undefined ? -1 : sharedSize(image, layers, sharing),
    Labels: image.config.config?.Labels ?? {},
    Containers: options.containers === true ? users.usersOf(image.id).length : -1,
  }));
}

/** References as `RepoTags` and `RepoDigests` show them. */
export function repoNames(references: readonly Reference[]): { RepoTags: string[]; RepoDigests: string[] } {
  const RepoTags: string[] = [];
  const RepoDigests: string[] = [];
  for (const reference of references) {
    (reference.digest === undefined ? RepoTags : RepoDigests).push(familiarReference(reference));
  }
  return { RepoTags, RepoDigests };
}

/** How many images have each chain of layers. */
function sharers(records: ImageRecords): Map<string, number> {
  const counts = new Map<string, number>();
  for (const image of records.all()) {
    for (const chainId of chainIds(image.layers)) counts.set(chainId, (counts.get(chainId) ?? 0) + 1);
  }
  return counts;
}

function sharedSize(image: ImageRecord, layers: ImageLayers, sharing: Map<string, number>): number {
  let shared = 0;
  chainIds(image.layers).forEach((chainId, i) => {
    const diffId = image.layers[i];
    if (diffId !== undefined && (sharing.get(chainId) ?? 0) > 1) shared += layers.stat(diffId)?.size ?? 0;
  });
  return shared;
}
