import { createHash } from 'node:crypto';
import { lstatSync, openSync, readdirSync, readlinkSync, readSync, closeSync } from 'node:fs';
import { pathOf } from '#/archive/tar-entry.ts';
import { getXattr, listXattrs } from '#/host/xattr.ts';

/** Of a file larger than this only the start and the end are compared: it is a sparse one. */
const LARGE = 64 << 20;

/**
 * All that can be seen of a tree, a line a file, to compare two: kind, mode, owner, size, time to the nanosecond, links, device,
 * target, xattrs, content. The root itself is left out.
 */
export function listTree(root: string, { times = true, links = true } = {}): string[] {
  const lines: string[] = [];
  const names = new Map<string, string>();
  const left = [''];
  for (let directory = left.pop(); directory !== undefined; directory = left.pop()) {
    for (const base of readdirSync(pathOf(`${root}/${directory}`), { encoding: 'latin1' }).sort()) {
      const name = `${directory}${base}`;
      const path = pathOf(`${root}/${name}`);
      const stats = lstatSync(path, { bigint: true });
      const parts = [name, stats.mode.toString(8), `${stats.uid}:${stats.gid}`];
      if (times) parts.push(`mtime=${stats.mtimeNs}`);
      if (links) parts.push(`nlink=${stats.nlink}`);
      if (stats.isDirectory()) left.push(`${name}/`);
      else parts.push(String(stats.size), String(stats.rdev));
      if (links && !stats.isDirectory()) parts.push(firstName(names, stats, name));
      if (stats.isSymbolicLink()) parts.push(digest(readlinkSync(path)));
      if (stats.isFile()) parts.push(contentDigest(path, Number(stats.size)));
      for (const key of listXattrs(path).sort()) parts.push(`${key}=${digest(getXattr(path, key))}`);
      lines.push(parts.join(' '));
    }
  }
  return lines.sort();
}

/** Hard links show as the first of their names. */
function firstName(names: Map<string, string>, stats: { ino: bigint; nlink: bigint }, name: string): string {
  if (stats.nlink === 1n) return '';
  const known = names.get(String(stats.ino));
  if (known === undefined) names.set(String(stats.ino), name);
  return known ?? name;
}

function digest(bytes: Buffer | string | undefined): string {
  return bytes === undefined ? 'none' : createHash('sha256').update(bytes).digest('hex').slice(0, 16);
}

function contentDigest(path: Buffer, size: number): string {
  const hash = createHash('sha256');
  const fd = openSync(path, 'r');
  const buffer = Buffer.allocUnsafe(1 << 20);
  try {
    for (let at = 0; at < size; at += buffer.length) {
      if (size > LARGE && at === 2 * buffer.length) at = size - buffer.length;
      hash.update(buffer.subarray(0, readSync(fd, buffer, 0, buffer.length, at)));
    }
  } finally {
    closeSync(fd);
  }
  return hash.digest('hex').slice(0, 16);
}
