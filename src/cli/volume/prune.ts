import { compareVersions } from '#/api/client/api-client.ts';
import { pruneCommand, type PruneAnswer, removedList } from '../prune.ts';

export const command = pruneCommand<PruneAnswer & { VolumesDeleted?: string[] | null }>({
  path: '/volumes/prune',
  flags: `
  -a, --all  Remove all unused volumes, not just anonymous ones
      --filter filter  Provide filter values (e.g. "label=<label>")
  -f, --force  Do not prompt for confirmation
`,
  warning: (all, apiVersion) =>
    // Before API 1.42 there is nothing but all.
    `This will remove ${all || compareVersions(apiVersion, '1.42') < 0 ? 'all' : 'anonymous'} local volumes not used by at least one container.`,
  implied: (all) => (all ? ['all=true'] : []),
  check({ flags }) {
    const given = flags.list('filter').find((filter) => filter.startsWith('all='));
    if (flags.bool('all') && given !== undefined) {
      throw new Error('conflicting options: cannot specify both --all and --filter all=1');
    }
  },
  removed: ({ VolumesDeleted }) => removedList('Deleted Volumes', VolumesDeleted),
  countsSpace: true,
});
