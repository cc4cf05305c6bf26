import { invalid } from '#/base/errors.ts';
import { type Filters, hasFilter, matchesExactly, matchesLabels, matchesPattern } from '#/base/filters.ts';
import type { Containers } from '../containers.ts';
import type { ContainerRecord } from '../record.ts';

const KEYS = new Set([
  'ancestor',
  'before',
  'expose',
  'exited',
  'health',
  'id',
  'isolation',
  'is-task',
  'label',
  'name',
  'network',
  'publish',
  'since',
  'status',
  'volume',
]);

const STATUSES = new Set(['created', 'running', 'paused', 'restarting', 'removing', 'exited', 'dead']);

const HEALTHS = new Set(['none', 'starting', 'healthy', 'unhealthy']);

export interface ListFilter {
  matches: (record: ContainerRecord) => boolean;
  /** The filter speaks of containers that do not run, so all are looked at. */
  all: boolean;
}

/** Reads the filters of the list call once. Throws in Docker's words. `ancestors` gives the image ids that a value stands for. */
export function listFilter(
  filters: Filters,
  containers: Containers,
  ancestors: (reference: string) => string[],
): ListFilter {
  for (const key of Object.keys(filters)) if (!KEYS.has(key)) throw invalid(`invalid filter '${key}'`);
  for (const status of filters['status'] ?? []) {
    if (!STATUSES.has(status)) throw invalid(`invalid filter 'status=${status}'`);
  }
  for (const health of filters['health'] ?? []) {
    if (!HEALTHS.has(health)) throw invalid(`invalid filter 'health=${health}'`);
  }
  const exitCodes = (filters['exited'] ?? []).map((code) => {
    if (!/^-?\d+$/.test(code)) throw invalid(`invalid filter 'exited=${code}'`);
    return Number(code);
  });
  const images = new Set((filters['ancestor'] ?? []).flatMap(ancestors));
  const [before] = filters['before'] ?? [];
  const [since] = filters['since'] ?? [];
  const beforeTime = before === undefined ? undefined : containers.get(before).record.created;
  const sinceTime = since === undefined ? undefined : containers.get(since).record.created;
  const published = (filters['publish'] ?? []).map(portPattern);
  const exposed = (filters['expose'] ?? []).map(portPattern);
  const matches = (record: ContainerRecord): boolean =>
    idMatches(filters, record.id) &&
    (matchesPattern(filters, 'name', record.name) || matchesPattern(filters, 'name', `/${record.name}`)) &&
    matchesLabels(filters, 'label', record.config.Labels ?? {}) &&
    matchesExactly(filters, 'status', record.state.status) &&
    (exitCodes.length === 0 ||
      (exitCodes.includes(record.state.exitCode) &&
        record.state.status !== 'running' &&
        !record.state.startedAt.startsWith('0001'))) &&
    (!hasFilter(filters, 'ancestor') || images.has(record.image)) &&
    (beforeTime === undefined || record.created < beforeTime) &&
    (sinceTime === undefined || record.created > sinceTime) &&
    (!hasFilter(filters, 'volume') ||
      record.mounts.some((m) =>
        filters['volume']?.some((v) => v === m.name || v === m.destination || v === m.source),
      )) &&
    (!hasFilter(filters, 'network') ||
      Object.entries(record.networks).some(([name, settings]) =>
        filters['network']?.some(
          (n) => n === name || (settings.NetworkID !== undefined && settings.NetworkID.startsWith(n)),
        ),
      )) &&
    matchesExactly(filters, 'health', record.state.health?.status ?? 'none') &&
    (published.length === 0 ||
      record.endpoints.some((e) =>
        e.ports.some((p) => published.some((match) => match(p.hostPort, p.protocol))),
      )) &&
    (exposed.length === 0 ||
      Object.keys(record.config.ExposedPorts ?? {}).some((text) => {
        const [port = '', protocol = 'tcp'] = text.split('/');
        return exposed.some((match) => match(Number(port), protocol));
      }));
  return { matches, all: hasFilter(filters, 'status') || exitCodes.length > 0 };
}

function idMatches(filters: Filters, id: string): boolean {
  return (
    !hasFilter(filters, 'id') ||
    (filters['id'] ?? []).some((prefix) => id.startsWith(prefix)) ||
    matchesPattern(filters, 'id', id)
  );
}

/** `PORT[-END][/PROTOCOL]`. */
function portPattern(text: string): (port: number, protocol: string) => boolean {
  const match = /^(\d+)(?:-(\d+))?(?:\/(tcp|udp|sctp))?$/.exec(text);
  if (match === null) throw invalid(`invalid filter: invalid port specification: "${text}"`);
  const from = Number(match[1]);
  const to = match[2] === undefined ? from : Number(match[2]);
  const wanted = match[3] ?? 'tcp';
  return (port, protocol) => port >= from && port <= to && protocol === wanted;
}
