import { setTimeout as pause } from 'node:timers/promises';
import { jsonLines } from '#/api/client/json-lines.ts';
import { messageOf } from '#/base/errors.ts';
import { type Command, type CommandContext, StatusError } from '../command.ts';
import { encodeFilters } from '../format/filters.ts';
import { LIST_FORMAT } from '../format/format-flag.ts';
import { printListing } from '../format/listing.ts';
import { statsListing, type StatsRow } from './stats-listing.ts';
import { type StatsAnswer, type StatsSample, statsSample } from './stats-sample.ts';

/** How often the table is drawn anew. */
const REDRAW_MS = 500;

/** A container that has said nothing for so long shows no figures. */
const STALE_MS = 2000;

/** How long the first answers are waited for: a second of measuring each, and a busy daemon. */
const FIRST_ANSWER_MS = 10_000;

/** Back to the top left corner; the end of a line and of the screen is wiped after what is written over it. */
const HOME = '\u001B[H';
const ERASE_LINE = '\u001B[K';
const ERASE_REST = '\u001B[J';

export const command: Command = {
  usage: '[OPTIONS] [CONTAINER...]',
  flags: `
  -a, --all  Show all containers (default shows just running)
${LIST_FORMAT}
      --no-stream  Disable streaming stats and only pull the first result
      --no-trunc  Do not truncate output
`,
  arguments: { min: 0 },
  run,
};

async function run(context: CommandContext): Promise<void> {
  const { flags, args, terminal, config } = context;
  const watched = new WatchedContainers(context, !flags.bool('no-stream'));
  let ended: Promise<void> | undefined;
  if (args.length > 0) {
    for (const name of args) watched.add(name);
    await watched.firstAnswers();
    const failures = watched.failures();
    if (failures.length > 0) throw new StatusError(failures.join('\n'), 1);
  } else {
    // Listened to before the list is asked for, so that nobody who starts in between is missed.
    if (!flags.bool('no-stream')) ({ ended } = await followEvents(context, watched));
    await addAll(context, watched);
    await watched.firstAnswers();
  }
  const format = flags.string('format') || (config.statsFormat ?? '');
  const options = { format, quiet: false, full: flags.bool('no-trunc') };
  if (flags.bool('no-stream')) {
    await printListing(terminal, statsListing, watched.rows(), options);
    return;
  }
  while (!watched.over(args.length > 0)) {
    let page = '';
    await printListing({ out: (text) => (page += String(text)) }, statsListing, watched.rows(), options);
    terminal.out(`${HOME}${page.replaceAll('\n', `${ERASE_LINE}\n`)}${ERASE_REST}`);
    const stop = await Promise.race([pause(REDRAW_MS, false), ...(ended ? [ended.then(() => true)] : [])]);
    if (stop) return;
  }
}

async function addAll({ client, flags }: CommandContext, watched: WatchedContainers): Promise<void> {
  const list = await client.json<{ Id: string }[]>('GET', '/containers/json', {
    query: { all: flags.bool('all') || undefined },
  });
  for (const { Id } of list) watched.add(Id.slice(0, 12));
}

/** Watches containers that start, and no longer those that ended. Resolves once it listens; `ended` tells the end of the events. */
async function followEvents(
  { client, flags }: CommandContext,
  watched: WatchedContainers,
): Promise<{ ended: Promise<void> }> {
  const all = flags.bool('all');
  const { body } = await client.request('GET', '/events', {
    query: { filters: encodeFilters(['type=container']) },
  });
  const follow = async (): Promise<void> => {
    for await (const { Action, Actor } of jsonLines<{ Action: string; Actor: { ID: string } }>(body)) {
      const id = Actor.ID.slice(0, 12);
      if (Action === 'start' || (all && Action === 'create')) watched.add(id);
      else if (Action === 'destroy' || (!all && Action === 'die')) watched.remove(id);
    }
  };
  return { ended: follow().catch(() => undefined) };
}

interface Watched {
  sample?: StatsSample;
  at: number;
  failure?: string;
  ended: boolean;
  /** Resolves with the first answer, or its failure. */
  first: Promise<void>;
}

/** The containers of the table, each with a stream of its own that keeps its last answer. */
class WatchedContainers {
  readonly #client: CommandContext['client'];
  readonly #stream: boolean;
  readonly #byName = new Map<string, Watched>();

  constructor({ client }: CommandContext, stream: boolean) {
    this.#client = client;
    this.#stream = stream;
  }

  add(name: string): void {
    if (this.#byName.has(name)) return;
    const { promise: first, resolve } = Promise.withResolvers<void>();
    const entry: Watched = { at: 0, ended: false, first };
    this.#byName.set(name, entry);
    void this.#collect(name, entry, resolve)
      .catch((error: unknown) => {
        entry.failure = messageOf(error);
      })
      .finally(() => {
        entry.ended = true;
        resolve();
      });
  }

  remove(name: string): void {
    this.#byName.delete(name);
  }

  async #collect(name: string, entry: Watched, answered: () => void): Promise<void> {
    const { body } = await this.#client.request('GET', `/containers/${name}/stats`, {
      query: { stream: this.#stream ? true : '0' },
    });
    for await (const answer of jsonLines<StatsAnswer>(body)) {
      // Nobody shows it any more; leaving the loop ends the stream.
      if (this.#byName.get(name) !== entry) return;
      entry.sample = statsSample(answer);
      entry.at = Date.now();
      answered();
    }
  }

  async firstAnswers(): Promise<void> {
    const all = Promise.all([...this.#byName.values()].map(({ first }) => first));
    await Promise.race([all, pause(this.#stream ? STALE_MS : FIRST_ANSWER_MS)]);
  }

  failures(): string[] {
    return [...this.#byName.values()].flatMap(({ failure }) => (failure === undefined ? [] : [failure]));
  }

  rows(): StatsRow[] {
    const now = Date.now();
    return [...this.#byName].map(([container, { sample, at }]) => ({
      container,
      sample,
      fresh: !this.#stream || now - at <= STALE_MS,
    }));
  }

  /** Whether nothing can be told any more of the containers that were asked for by name. */
  over(named: boolean): boolean {
    return named && [...this.#byName.values()].every(({ ended }) => ended);
  }
}
