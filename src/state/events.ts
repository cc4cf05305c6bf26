import { type Filters, hasFilter, matchesExactly, matchesLabels, matchesPrefix } from '#/base/filters.ts';
import { Channel } from '#/base/streams.ts';
import { nowNanos } from '#/base/time.ts';

export type EventType = 'container' | 'image' | 'volume' | 'network' | 'daemon' | 'plugin' | 'builder';

/** What happened, as a room tells it. */
export interface EventSource {
  type: EventType;
  /** `create`, `die`, `tag`, …; with a detail as in `exec_create: sh` and `health_status: healthy`. */
  action: string;
  id: string;
  attributes?: Record<string, string>;
}

/** What happened, as `GET /events` sends it. */
export interface EngineEvent {
  status?: string;
  id?: string;
  from?: string;
  Type: EventType;
  Action: string;
  Actor: { ID: string; Attributes: Record<string, string> };
  scope: 'local';
  time: number;
  timeNano: bigint;
}

export interface EventQuery {
  /** Nanoseconds since 1970. Without either there is no replay. */
  since?: bigint;
  /** The iteration ends then; at once, after the replay, when it has passed. */
  until?: bigint;
  filters?: Filters;
}

/** As many as dockerd keeps (moby's daemon/events/events.go). */
const KEPT = 256;
/** Events that wait for one reader before further ones are dropped for it. */
const WAITING = 16_384;
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** The one place where rooms tell what happened. Events tell and never steer: no room waits for one to do its work. */
export class EventLog {
  readonly #recent: { at: bigint; event: EngineEvent }[] = [];
  readonly #readers = new Set<(event: EngineEvent) => void>();

  publish(source: EventSource): EngineEvent {
    const at = nowNanos();
    const event = message(source, at);
    this.#recent.push({ at, event });
    if (this.#recent.length > KEPT) this.#recent.shift();
    for (const reader of this.#readers) reader(event);
    return event;
  }

  /** How many read now: `docker info` shows it. */
  get readers(): number {
    return this.#readers.size;
  }

  /** Replays what is kept since `since`, then goes on until `until` or the signal. Subscribed when this returns. */
  subscribe(query: EventQuery = {}, signal?: AbortSignal): AsyncIterableIterator<EngineEvent> {
    const { since, until, filters = {} } = query;
    const channel = new Channel<EngineEvent>(WAITING);
    if (since !== undefined || until !== undefined) {
      for (const { at, event } of this.#recent) {
        if (since !== undefined && at < since) continue;
        if (until !== undefined && at > until) continue;
        if (isWanted(filters, event)) channel.push(event);
      }
    }
    const reader = (event: EngineEvent): void => {
      if (isWanted(filters, event)) channel.push(event);
    };
    const stop = (): void => {
      this.#readers.delete(reader);
      clearTimeout(timer);
      signal?.removeEventListener('abort', stop);
      channel.end();
    };
    let timer: NodeJS.Timeout | undefined;
    const remaining = until === undefined ? undefined : Number(until - nowNanos()) / 1e6;
    if (signal?.aborted === true || (remaining !== undefined && remaining <= 0)) {
      channel.end();
      return channel;
    }
    this.#readers.add(reader);
    signal?.addEventListener('abort', stop, { once: true });
    if (remaining !== undefined && remaining < LONGEST_TIMER_MS) timer = setTimeout(stop, remaining);
    return {
      next: () => channel.next(),
      return: async () => {
        stop();
        return channel.return();
      },
      [Symbol.asyncIterator]() {
        return this;
      },
    };
  }
}

function message(source: EventSource, at: bigint): EngineEvent {
  const attributes = source.attributes ?? {};
  const event: EngineEvent = {
    Type: source.type,
    Action: source.action,
    Actor: { ID: source.id, Attributes: attributes },
    scope: 'local',
    time: Number(at / 1_000_000_000n),
    timeNano: at,
  };
  // The deprecated fields that clients before API 1.22 read, only for the two nouns that existed then.
  if (source.type !== 'container' && source.type !== 'image') return event;
  const from = source.type === 'container' ? attributes['image'] : undefined;
  return { status: source.action, id: source.id, ...(from === undefined ? {} : { from }), ...event };
}

/** Docker's rules for `--filter` (moby's daemon/events/filter.go): between keys and, within a key or. */
export function isWanted(filters: Filters, event: EngineEvent): boolean {
  const { ID, Attributes } = event.Actor;
  return (
    matchesAction(filters, event.Action) &&
    matchesExactly(filters, 'type', event.Type) &&
    matchesExactly(filters, 'scope', event.scope) &&
    matchesLabels(filters, 'label', Attributes) &&
    matchesImage(filters, event) &&
    NAMED_BY_KEY.every(
      (key) => matchesPrefix(filters, key, ID) || matchesPrefix(filters, key, Attributes['name'] ?? ''),
    )
  );
}

/** Filters by the id or name of what an event is about, or the beginning of either. */
const NAMED_BY_KEY = [
  'daemon',
  'container',
  'plugin',
  'volume',
  'network',
  'service',
  'node',
  'secret',
  'config',
];

/** Actions that carry a detail after a colon can be asked for without it. */
const DETAILED = ['health_status', 'exec_create', 'exec_start'];

function matchesAction(filters: Filters, action: string): boolean {
  const wanted = filters['event'] ?? [];
  if (DETAILED.some((name) => wanted.includes(name))) return matchesPrefix(filters, 'event', action);
  return matchesExactly(filters, 'event', action);
}

function matchesImage(filters: Filters, event: EngineEvent): boolean {
  if (!hasFilter(filters, 'image')) return true;
  const name = event.Actor.Attributes[event.Type === 'image' ? 'name' : 'image'] ?? '';
  return [event.Actor.ID, name, withoutTag(event.Actor.ID), withoutTag(name)].some((source) =>
    matchesExactly(filters, 'image', source),
  );
}

function withoutTag(name: string): string {
  const at = name.lastIndexOf(':');
  return at > name.lastIndexOf('/') && at >= 0 ? name.slice(0, at) : name;
}
