import { isKind } from '#/base/errors.ts';
import { type Filters, hasFilter, matchesLabels } from '#/base/filters.ts';
import { parseTimestamp } from '#/base/time.ts';
import { untilFilter } from '#/base/until-filter.ts';
import type { ContainerContext } from './context.ts';
import { type ContainerRecord, isRunning } from './record.ts';

const AT_REST: readonly string[] = ['created', 'exited', 'dead'];

/** `POST /containers/prune`: removes those at rest that the filters want, by `remove`. */
export async function pruneContainers(
  context: Pick<ContainerContext, 'containers' | 'rootfs'>,
  filters: Filters,
  remove: (id: string) => Promise<void>,
): Promise<{ ContainersDeleted: string[]; SpaceReclaimed: number }> {
  const until = untilFilter(filters);
  const wanted = context.containers.all().filter(({ record }) => isPrunable(record, filters, until));
  const deleted: string[] = [];
  let reclaimed = 0;
  for (const { id } of wanted) {
    try {
      const size = await context.rootfs.writtenBytes(id);
      await remove(id);
      deleted.push(id);
      reclaimed += size;
    } catch (error) {
      // Started or removed by someone else meanwhile.
      if (!isKind(error, 'conflict') && !isKind(error, 'notFound')) throw error;
    }
  }
  return { ContainersDeleted: deleted, SpaceReclaimed: reclaimed };
}

function isPrunable(record: ContainerRecord, filters: Filters, until: bigint | undefined): boolean {
  const labels = record.config.Labels ?? {};
  if (isRunning(record) || !AT_REST.includes(record.state.status)) return false;
  if (!matchesLabels(filters, 'label', labels)) return false;
  if (hasFilter(filters, 'label!') && matchesLabels(filters, 'label!', labels)) return false;
  return until === undefined || (parseTimestamp(record.created) ?? 0n) < until;
}
