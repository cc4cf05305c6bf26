import type { Command, CommandContext } from './command.ts';
import { confirm } from './confirm.ts';
import { checkFilter, encodeFilters } from './format/filters.ts';
import { decimalSize } from './format/units.ts';

export interface PruneAnswer {
  SpaceReclaimed?: number;
}

/** What the prune commands of containers, images, networks and volumes differ in. */
export interface PruneOptions<Answer extends PruneAnswer> {
  path: string;
  flags: string;
  /** The question asked without `--force`, after `WARNING! `. */
  warning: (all: boolean, apiVersion: string) => string;
  /** The filters the API is sent beside the user's. */
  implied?: (all: boolean) => readonly string[];
  /** Refuses flags that do not go together. */
  check?: (context: CommandContext) => void;
  /** What was removed, in lines; empty when nothing was. */
  removed: (answer: Answer) => string;
  countsSpace: boolean;
}

export function pruneCommand<Answer extends PruneAnswer>(options: PruneOptions<Answer>): Command {
  return {
    usage: '[OPTIONS]',
    flags: options.flags,
    checks: { filter: checkFilter },
    arguments: { min: 0, max: 0 },
    async run(context) {
      const { flags, client, terminal } = context;
      options.check?.(context);
      const all = flags.bool('all');
      if (!flags.bool('force')) {
        // What is removed may depend on the daemon's age.
        await client.negotiate();
        await confirm(
          terminal,
          `WARNING! ${options.warning(all, client.version)}\nAre you sure you want to continue?`,
        );
      }
      const filters = encodeFilters([...flags.list('filter'), ...(options.implied?.(all) ?? [])]);
      const answer = await client.json<Answer>('POST', options.path, { query: { filters } });
      const removed = options.removed(answer);
      if (removed !== '') terminal.out(`${removed}\n`);
      if (options.countsSpace) {
        terminal.out(`Total reclaimed space: ${decimalSize(answer.SpaceReclaimed ?? 0)}\n`);
      }
    },
  };
}

/** A heading and a name a line; nothing for no names. */
export function removedList(heading: string, names: readonly string[] | null | undefined): string {
  return names && names.length > 0 ? `${heading}:\n${names.map((name) => `${name}\n`).join('')}` : '';
}
