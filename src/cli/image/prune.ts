import { pruneCommand, type PruneAnswer } from '../prune.ts';
import { type DeletedImage, prunedImages } from './deleted-images.ts';

export const command = pruneCommand<PruneAnswer & { ImagesDeleted?: DeletedImage[] | null }>({
  path: '/images/prune',
  flags: `
  -a, --all  Remove all unused images, not just dangling ones
      --filter filter  Provide filter values (e.g. "until=<timestamp>")
  -f, --force  Do not prompt for confirmation
`,
  warning: (all) =>
    all
      ? 'This will remove all images without at least one container associated to them.'
      : 'This will remove all dangling images.',
  implied: (all) => [`dangling=${!all}`],
  removed: ({ ImagesDeleted }) => prunedImages(ImagesDeleted),
  countsSpace: true,
});
