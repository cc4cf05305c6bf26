import type { Query } from '#/api/client/api-client.ts';
import type { Command } from '../command.ts';
import { confirm } from '../confirm.ts';
import { checkFilter, encodeFilters } from '../format/filters.ts';
import { decimalSize } from '../format/units.ts';
import { type DeletedImage, prunedImages } from '../image/deleted-images.ts';
import { removedList } from '../prune.ts';

interface PruneAnswer {
  SpaceReclaimed?: number;
  ContainersDeleted?: string[] | null;
  NetworksDeleted?: string[] | null;
  VolumesDeleted?: string[] | null;
  ImagesDeleted?: DeletedImage[] | null;
  CachesDeleted?: string[] | null;
}

export const command: Command = {
  usage: '[OPTIONS]',
  flags: `
  -a, --all  Remove all unused images not just dangling ones
      --filter filter  Provide filter values (e.g. "label=<key>=<value>")
  -f, --force  Do not prompt for confirmation
      --volumes  Prune anonymous volumes
`,
  checks: { filter: checkFilter },
  arguments: { min: 0, max: 0 },
  async run({ flags, client, terminal }) {
    const all = flags.bool('all');
    const volumes = flags.bool('volumes');
    const filters = flags.list('filter');
    // Volumes have no moment they were last used at.
    if (volumes && filters.some((filter) => filter.startsWith('until='))) {
      throw new Error('ERROR: The "until" filter is not supported with "--volumes"');
    }
    if (!flags.bool('force')) {
      const parts = [
        'all stopped containers',
        'all networks not used by at least one container',
        ...(volumes ? ['all anonymous volumes not used by at least one container'] : []),
        all ? 'all images without at least one container associated to them' : 'all dangling images',
        all ? 'all build cache' : 'unused build cache',
      ];
      const list = parts.map((part) => `  - ${part}\n`).join('');
      const filtered =
        filters.length > 0
          ? `\n  Items to be pruned will be filtered with:\n${filters
              .toSorted()
              .map((filter) => `  - ${filter}\n`)
              .join('')}`
          : '';
      await confirm(
        terminal,
        `WARNING! This will remove:\n${list}${filtered}\nAre you sure you want to continue?`,
      );
    }
    const prune = (path: string, implied: readonly string[] = [], query: Query = {}): Promise<PruneAnswer> =>
      client.json<PruneAnswer>('POST', path, {
        query: { ...query, filters: encodeFilters([...filters, ...implied]) },
      });
    let reclaimed = 0;
    const show = (answer: PruneAnswer): void => {
      reclaimed += answer.SpaceReclaimed ?? 0;
      const text =
        removedList('Deleted Containers', answer.ContainersDeleted) ||
        removedList('Deleted Networks', answer.NetworksDeleted) ||
        removedList('Deleted Volumes', answer.VolumesDeleted) ||
        prunedImages(answer.ImagesDeleted) ||
        removedList('Deleted build cache objects', answer.CachesDeleted);
      if (text !== '') terminal.out(`${text}\n`);
    };
    // In this order each makes more of the next unused.
    show(await prune('/containers/prune'));
    show(await prune('/networks/prune'));
    if (volumes) show(await prune('/volumes/prune'));
    show(await prune('/images/prune', [`dangling=${!all}`]));
    show(await prune('/build/prune', [], { all: all || undefined }));
    terminal.out(`Total reclaimed space: ${decimalSize(reclaimed)}\n`);
  },
};
