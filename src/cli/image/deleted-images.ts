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
