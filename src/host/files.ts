import { closeSync, openSync } from 'node:fs';
import { checked, libcFunction } from './libc.ts';

/** Calls on files that `node:fs` does not have, or not to the nanosecond. None follows a symlink in the last component. */
const mknodCall = libcFunction('mknod', 'int', ['void *', 'uint', 'ulong']);
const utimensat = libcFunction('utimensat', 'int', ['int', 'void *', 'void *', 'int']);

const syncfs = libcFunction('syncfs', 'int', ['int']);

const AT_FDCWD = -100;
const AT_SYMLINK_NOFOLLOW = 0x100;
const UTIME_OMIT = 0x3ffffffe;

/** The kinds of file that mknod makes, as the upper bits of a mode have them. */
export const S_IFIFO = 0o010000;
export const S_IFCHR = 0o020000;
export const S_IFBLK = 0o060000;

/** Makes a device or a fifo; `mode` is narrowed by the umask. */
export function makeNode(
  path: Buffer,
  kind: number,
  mode: number,
  device: { major: number; minor: number },
): void {
  checked(
    mknodCall(cString(path), kind | mode, makeDevice(device.major, device.minor)),
    'mknod',
    path.toString(),
  );
}

/** Sets the time of last change, in seconds since 1970 and nanoseconds. */
export function setModifiedTime(path: Buffer, seconds: number, nanoseconds: number): void {
  const times = Buffer.alloc(32);
  times.writeBigInt64LE(BigInt(UTIME_OMIT), 8);
  times.writeBigInt64LE(BigInt(seconds), 16);
  times.writeBigInt64LE(BigInt(nanoseconds), 24);
  checked(utimensat(AT_FDCWD, cString(path), times, AT_SYMLINK_NOFOLLOW), 'utimensat', path.toString());
}

/** Makes all that was written to the filesystem of this directory durable: one call for a whole tree. */
export function syncFilesystem(directory: string): void {
  const fd = openSync(directory, 'r');
  try {
    checked(syncfs(fd), 'syncfs', directory);
  } finally {
    closeSync(fd);
  }
}

/** glibc's makedev(). */
function makeDevice(major: number, minor: number): number {
  return Number(
    (BigInt(major & 0xfff) << 8n) |
      (BigInt(major & ~0xfff) << 32n) |
      BigInt(minor & 0xff) |
      (BigInt(minor & ~0xff) << 12n),
  );
}

/** glibc's major() and minor(), of what `stat` gives. */
export function deviceNumbers(device: bigint): { major: number; minor: number } {
  return {
    major: Number(((device >> 8n) & 0xfffn) | ((device >> 32n) & 0xfffff000n)),
    minor: Number((device & 0xffn) | ((device >> 12n) & 0xffffff00n)),
  };
}

function cString(path: Buffer): Buffer {
  return Buffer.concat([path, Buffer.alloc(1)]);
}
