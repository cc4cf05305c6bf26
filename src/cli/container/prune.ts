import { pruneCommand, type PruneAnswer, removedList } from '../prune.ts';

export const command = pruneCommand<PruneAnswer & { ContainersDeleted?: string[] | null }>({
  path: '/containers/prune',
  flags: `
      --filter filter  Provide filter values (e.g. "until=<timestamp>")
  -f, --force  Do not prompt for confirmation
`,
  warning: () => 'This will remove all stopped containers.',
  removed: ({ ContainersDeleted }) => removedList('Deleted Containers', ContainersDeleted),
  countsSpace: true,
});
