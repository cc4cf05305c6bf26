import { createHash } from 'node:crypto';
import type { RuntimeIdMapping } from './runtime-spec.ts';

/** How a user namespace numbers users and groups: ranges of ids inside, and where they begin outside. Plain data: containers keep theirs. */
export interface IdMapping {
  uids: RuntimeIdMapping[];
  gids: RuntimeIdMapping[];
}

export interface Owner {
  uid: number;
  gid: number;
}

/** What stands for an id without a counterpart, as in the kernel (/proc/sys/kernel/overflowuid). */
export const OVERFLOW_ID = 65_534;

/** Subordinate ids as subuid(5) grants them, one range after the other from 0 on inside. */
export function mappingOfRanges(
  uids: readonly SubordinateRange[],
  gids: readonly SubordinateRange[],
): IdMapping {
  return { uids: consecutive(uids), gids: consecutive(gids) };
}

export interface SubordinateRange {
  start: number;
  length: number;
}

function consecutive(ranges: readonly SubordinateRange[]): RuntimeIdMapping[] {
  let containerID = 0;
  return ranges
    .toSorted((a, b) => a.start - b.start)
    .map(({ start, length }) => {
      const mapping = { containerID, hostID: start, size: length };
      containerID += length;
      return mapping;
    });
}

/** Who root of the namespace is outside. */
export function mappedRoot(mapping: IdMapping): Owner {
  return ownerOutside(mapping, { uid: 0, gid: 0 });
}

/** Whom an owner inside is outside; nobody when the namespace has no such id. */
export function ownerOutside({ uids, gids }: IdMapping, { uid, gid }: Owner): Owner {
  return {
    uid: translate(uids, uid, 'containerID', 'hostID'),
    gid: translate(gids, gid, 'containerID', 'hostID'),
  };
}

/** Whom an owner outside is inside; nobody when the namespace does not map it. */
export function ownerInside({ uids, gids }: IdMapping, { uid, gid }: Owner): Owner {
  return {
    uid: translate(uids, uid, 'hostID', 'containerID'),
    gid: translate(gids, gid, 'hostID', 'containerID'),
  };
}

type Side = 'containerID' | 'hostID';

function translate(mappings: readonly RuntimeIdMapping[], id: number, from: Side, to: Side): number {
  const mapping = mappings.find((each) => id >= each[from] && id < each[from] + each.size);
  return mapping === undefined ? OVERFLOW_ID : mapping[to] + (id - mapping[from]);
}

/** As the kernel reads it: `ID-INSIDE ID-OUTSIDE LENGTH` a line. */
export function kernelMap(mappings: readonly RuntimeIdMapping[]): string {
  return mappings.map(({ containerID, hostID, size }) => `${containerID} ${hostID} ${size}\n`).join('');
}

/** A name for files and directories, the same for the same mapping: its root, as Docker names a data root after it, and a check. */
export function mappingKey(mapping: IdMapping): string {
  const { uid, gid } = mappedRoot(mapping);
  const maps = `${kernelMap(mapping.uids)}/${kernelMap(mapping.gids)}`;
  return `${uid}.${gid}-${createHash('sha256').update(maps).digest('hex').slice(0, 8)}`;
}
