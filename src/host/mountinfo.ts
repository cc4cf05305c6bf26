import { readFileSync } from 'node:fs';

export interface MountInfo {
  target: string;
  source: string;
  type: string;
  /** The mount's own options and the file system's, comma separated. */
  options: string;
  /** The directory of the file system that is mounted, `/` unless it is a bind mount of a part. */
  root: string;
  /** `shared:1`, `master:2`, …, or nothing for a private mount. */
  propagation: string;
}

/** One line a mount: see proc_pid_mountinfo(5). Lines that do not have the format's shape are left out. */
export function parseMountinfo(text: string): MountInfo[] {
  const mounts: MountInfo[] = [];
  for (const line of text.split('\n')) {
    const fields = line.split(' ');
    // Optional fields stand between the sixth and a lone hyphen, in any number.
    const hyphen = fields.indexOf('-', 6);
    const [, , , root, target, own] = fields;
    const [type, source, superblock] = hyphen === -1 ? [] : fields.slice(hyphen + 1);
    if (root === undefined || target === undefined || type === undefined || source === undefined) continue;
    mounts.push({
      target: unescapeOctal(target),
      source: unescapeOctal(source),
      type,
      options: [own, superblock].filter((part) => part !== undefined && part !== '').join(','),
      root: unescapeOctal(root),
      propagation: fields.slice(6, hyphen).join(' '),
    });
  }
  return mounts;
}

/** The kernel writes space, tab, newline, backslash and hash as `\040` and so on. */
function unescapeOctal(text: string): string {
  return text.replaceAll(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(parseInt(digits, 8)));
}

/** The mounts of this process's mount namespace, in the order they were made. */
export function listMounts(): MountInfo[] {
  return parseMountinfo(readFileSync('/proc/self/mountinfo', 'utf8'));
}
