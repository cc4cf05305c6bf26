import koffi from 'koffi';
import { checked, errnoOf, libcFunction, systemError } from './libc.ts';

/** Extended attributes of the very file that a path names: a symlink's own, not its target's. */
const lgetxattr = libcFunction('lgetxattr', 'long', ['void *', 'void *', 'void *', 'size_t']);
const lsetxattr = libcFunction('lsetxattr', 'int', ['void *', 'void *', 'void *', 'size_t', 'int']);
const llistxattr = libcFunction('llistxattr', 'long', ['void *', 'void *', 'size_t']);

const ENODATA = 61;
const ENOTSUP = 95;
const ERANGE = 34;

const scratch = Buffer.alloc(4096);

/** The value, or `undefined` when there is none or the filesystem has no such attributes. */
export function getXattr(path: string | Buffer, name: string): Buffer | undefined {
  const file = cString(path);
  const key = cString(Buffer.from(name, 'latin1'));
  return read('lgetxattr', path, (buffer) => lgetxattr(file, key, buffer, buffer.length));
}

/** The names, each character one byte. */
export function listXattrs(path: string | Buffer): string[] {
  const file = cString(path);
  const names = read('llistxattr', path, (buffer) => llistxattr(file, buffer, buffer.length));
  if (names === undefined || names.length === 0) return [];
  return names.toString('latin1', 0, names.length - 1).split('\0');
}

export function setXattr(path: string | Buffer, name: string, value: Buffer): void {
  const key = cString(Buffer.from(name, 'latin1'));
  checked(lsetxattr(cString(path), key, value, value.length, 0), `lsetxattr ${name}`, path.toString());
}

function read(call: string, path: string | Buffer, into: (buffer: Buffer) => number): Buffer | undefined {
  for (let buffer = scratch; ; buffer = Buffer.alloc(buffer.length * 8)) {
    const length = into(buffer);
    if (length >= 0) return Buffer.from(buffer.subarray(0, length));
    const errno = koffi.errno();
    if (errno === ENODATA || errno === ENOTSUP) return undefined;
    // 64 KiB is the most that the kernel keeps.
    if (errno !== ERANGE || buffer.length > 1 << 16) throw systemError(errno, call, path.toString());
  }
}

function cString(path: string | Buffer): Buffer {
  return Buffer.concat([typeof path === 'string' ? Buffer.from(path) : path, Buffer.alloc(1)]);
}

/** Whether setting an attribute failed because the filesystem does not keep such ones. */
export function isXattrUnsupported(error: unknown): boolean {
  return errnoOf(error) === ENOTSUP;
}
