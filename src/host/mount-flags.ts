import { checked, libcFunction } from './libc.ts';

/** What mount(8)'s option words mean to mount(2): bits to set, bits to clear (include/uapi/linux/mount.h). */
const SET: Record<string, number> = {
  ro: 1,
  nosuid: 2,
  nodev: 4,
  noexec: 8,
  sync: 16,
  remount: 32,
  mand: 64,
  dirsync: 128,
  noatime: 1024,
  nodiratime: 2048,
  bind: 4096,
  rbind: 4096 | 16384,
  relatime: 1 << 21,
  strictatime: 1 << 24,
};
const CLEAR: Record<string, number> = {
  rw: 1,
  suid: 2,
  dev: 4,
  exec: 8,
  async: 16,
  nomand: 64,
  atime: 1024,
  diratime: 2048,
  norelatime: 1 << 21,
  nostrictatime: 1 << 24,
};
const PROPAGATION = /^r?(private|shared|slave|unbindable)$/;

export const MS_RDONLY = 1;
export const MS_BIND = 4096;
export const MS_REC = 16384;

export interface MountFlags {
  flags: number;
  /** What is the filesystem's own to understand, comma separated. */
  data: string;
  /** `private`, `rshared` and the like, in the order given: each is a call of its own. */
  propagation: string[];
}

/** Splits `rw,nosuid,size=1m` into what mount(2) takes; the later of two words about one bit counts. */
export function parseMountFlags(options: string): MountFlags {
  const result: MountFlags = { flags: 0, data: '', propagation: [] };
  const data: string[] = [];
  for (const word of options.split(',')) {
    if (word === '' || word === 'defaults') continue;
    if (Object.hasOwn(SET, word)) result.flags |= SET[word] ?? 0;
    else if (Object.hasOwn(CLEAR, word)) result.flags &= ~(CLEAR[word] ?? 0);
    else if (PROPAGATION.test(word)) result.propagation.push(word);
    else data.push(word);
  }
  result.data = data.join(',');
  return result;
}

const statfs = libcFunction('statfs', 'int', ['str', 'void *']);
/** `struct statfs` of 64-bit Linux: 120 bytes, the flags after ten words. */
const STATFS_SIZE = 120;
const FLAGS_OFFSET = 80;
/** statfs(2), f_flags */
const KEPT: Record<string, number> = {
  ro: 1,
  nosuid: 2,
  nodev: 4,
  noexec: 8,
  noatime: 1024,
  nodiratime: 2048,
};

/** What the mount that a path lies on forbids, in mount(8)'s words. */
export function restrictionsAt(path: string): string[] {
  const result = Buffer.alloc(STATFS_SIZE);
  checked(statfs(path, result), 'statfs', path);
  const flags = Number(result.readBigUInt64LE(FLAGS_OFFSET));
  return Object.keys(KEPT).filter((word) => (flags & (KEPT[word] ?? 0)) !== 0);
}
