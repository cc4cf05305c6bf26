import { pruneCommand, type PruneAnswer, removedList } from '../prune.ts';

export const command = pruneCommand<PruneAnswer & { NetworksDeleted?: string[] | null }>({
  path: '/networks/prune',
  flags: `
      --filter filter  Provide filter values (e.g. "until=<timestamp>")
  -f, --force  Do not prompt for confirmation
`,
  warning: () => 'This will remove all custom networks not used by at least one container.',
  removed: ({ NetworksDeleted }) => removedList('Deleted Networks', NetworksDeleted),
  countsSpace: false,
});
