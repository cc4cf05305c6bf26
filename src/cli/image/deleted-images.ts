export interface DeletedImage {
  Untagged?: string;
  Deleted?: string;
}

/** A line for each name that was taken away and each image that was removed. */
export function deletedImages(images: readonly DeletedImage[] | null | undefined): string {
  return (images ?? [])
    .map(({ Deleted, Untagged }) => (Deleted ? `Deleted: ${Deleted}\n` : `Untagged: ${Untagged ?? ''}\n`))
    .join('');
}

/** The same below a heading, as the prune commands have it; nothing for none. */
export function prunedImages(images: readonly DeletedImage[] | null | undefined): string {
  const lines = (images ?? []).map(({ Deleted, Untagged }) =>
    Deleted ? `deleted: ${Deleted}\n` : `untagged: ${Untagged ?? ''}\n`,
  );
  return lines.length > 0 ? `Deleted Images:\n${lines.join('')}` : '';
}
