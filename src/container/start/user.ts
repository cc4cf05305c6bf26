import { invalid } from '#/base/errors.ts';
import { readRootedFile } from '#/host/rooted-file.ts';

/** Whom a process runs as, in numbers. */
export interface ProcessUser {
  uid: number;
  gid: number;
  additionalGids: number[];
  home: string;
}

/** Of a container whose own kernel looks it up. */
export const UNKNOWN_USER: ProcessUser = { uid: 0, gid: 0, additionalGids: [], home: '' };

interface PasswdEntry {
  name: string;
  uid: number;
  gid: number;
  home: string;
}

interface GroupEntry {
  name: string;
  gid: number;
  members: string[];
}

// passwd(5) and group(5) of an image are the image's word: a file larger than this is not read.
const FILE_LIMIT = 10 << 20;
const MAX_ID = 2 ** 31 - 1;

/** Looks `user[:group]` up in the passwd and group files of a root filesystem, as Docker does for `--user`. */
export function lookupUser(rootfs: string, spec: string, groupAdd: readonly string[] = []): ProcessUser {
  return resolveUser(spec, groupAdd, readInRoot(rootfs, '/etc/passwd'), readInRoot(rootfs, '/etc/group'));
}

/** The pure part: `passwd` and `group` are the files' texts. Throws `invalid` in Docker's words. */
export function resolveUser(
  spec: string,
  groupAdd: readonly string[],
  passwd: string,
  group: string,
): ProcessUser {
  const [userPart, groupPart] = splitOnce(spec, ':');
  const users = parsePasswd(passwd);
  const groups = parseGroup(group);
  const wanted = userPart === '' ? '0' : userPart;
  const numeric = numericId(wanted);
  const entry =
    users.find((user) => user.name === wanted) ??
    users.find((user) => numeric !== undefined && user.uid === numeric);
  if (entry === undefined && numeric === undefined) {
    throw invalid(`unable to find user ${userPart}: no matching entries in passwd file`);
  }
  const uid = entry?.uid ?? numeric ?? 0;
  let gid = entry?.gid ?? 0;
  let additional: number[] = [];
  if (groupPart !== undefined && groupPart !== '') {
    gid = groupId(groupPart, groups);
  } else if (entry !== undefined) {
    additional = groups
      .filter((group) => group.members.includes(entry.name) && group.gid !== gid)
      .map((g) => g.gid);
  }
  for (const name of groupAdd) additional.push(groupId(name, groups));
  return { uid, gid, additionalGids: [...new Set(additional)], home: entry?.home || '/' };
}

function groupId(name: string, groups: readonly GroupEntry[]): number {
  const byName = groups.find((group) => group.name === name);
  if (byName !== undefined) return byName.gid;
  const numeric = numericId(name);
  if (numeric === undefined) throw invalid(`unable to find group ${name}: no matching entries in group file`);
  return numeric;
}

function numericId(text: string): number | undefined {
  if (!/^-?\d+$/.test(text)) return undefined;
  const value = Number(text);
  if (value < 0 || value > MAX_ID) throw invalid('uids and gids must be in range 0-2147483647');
  return value;
}

function parsePasswd(text: string): PasswdEntry[] {
  return rows(text).flatMap(([name, , uid, gid, , home]) =>
    name !== undefined && isNumber(uid) && isNumber(gid)
      ? [{ name, uid: Number(uid), gid: Number(gid), home: home ?? '' }]
      : [],
  );
}

function parseGroup(text: string): GroupEntry[] {
  return rows(text).flatMap(([name, , gid, members]) =>
    name !== undefined && isNumber(gid)
      ? [{ name, gid: Number(gid), members: (members ?? '').split(',').filter(Boolean) }]
      : [],
  );
}

function rows(text: string): string[][] {
  return text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => line.split(':'));
}

function isNumber(text: string | undefined): boolean {
  return text !== undefined && /^\d+$/.test(text);
}

function splitOnce(text: string, separator: string): [string, string | undefined] {
  const at = text.indexOf(separator);
  return at === -1 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)];
}

function readInRoot(rootfs: string, path: string): string {
  return readRootedFile(rootfs, path, FILE_LIMIT)?.toString('utf8') ?? '';
}
