import type { SubordinateRange } from './id-mapping.ts';

/** Where ranges begin, and how long one is, when nobody said otherwise: as useradd(8) and dockerd have it. */
const FIRST_START = 100_000;
export const RANGE_LENGTH = 65_536;

interface Grant extends SubordinateRange {
  owner: string;
}

/** The ranges that subuid(5) or subgid(5) grants a user, by name or by number. */
export function rangesOf(text: string, user: { name: string; uid: number }): SubordinateRange[] {
  return grants(text)
    .filter(({ owner }) => owner === user.name || owner === String(user.uid))
    .map(({ start, length }) => ({ start, length }));
}

/** Where the first range begins that overlaps none of those granted. */
export function nextStart(text: string): number {
  let start = FIRST_START;
  for (const grant of grants(text).toSorted((a, b) => a.start - b.start)) {
    const overlaps = grant.start < start + RANGE_LENGTH && start < grant.start + grant.length;
    if (overlaps) start = grant.start + grant.length;
  }
  return start;
}

/** `OWNER:START:LENGTH` a line; others are passed over, as newuidmap(1) does. */
function grants(text: string): Grant[] {
  return text.split('\n').flatMap((line) => {
    const [owner = '', start = '', length = '', ...rest] = line.trim().split(':');
    if (owner === '' || owner.startsWith('#') || rest.length > 0) return [];
    if (!/^\d+$/.test(start) || !/^[1-9]\d*$/.test(length)) return [];
    return [{ owner, start: Number(start), length: Number(length) }];
  });
}
