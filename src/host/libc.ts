import koffi from 'koffi';
import { getSystemErrorMap } from 'node:util';

/** What Node's own file system calls throw: `code` is `ENOENT`, …, `errno` is negative, `syscall` names the call. */
export interface SystemError extends Error {
  code: string;
  errno: number;
  syscall: string;
  path?: string;
}

/** The C types that the calls here need, and what stands for each in JavaScript. */
type CType = 'int' | 'uint' | 'long' | 'ulong' | 'size_t' | 'str' | 'str *' | 'void *';
type Value<T extends CType> = T extends 'str'
  ? string | null
  : T extends 'str *'
    ? (string | null)[]
    : T extends 'void *'
      ? Buffer | null
      : number;
type Values<P extends readonly CType[]> = { -readonly [K in keyof P]: Value<P[K]> };

let library: ReturnType<typeof koffi.load> | undefined;

/**
 * A function of the C library this process already runs on, looked up at its first call. For a variadic one
 * `parameters` are those of the one form wanted: Linux passes both alike on x86-64 and arm64.
 */
export function libcFunction<const P extends readonly CType[]>(
  name: string,
  result: 'int' | 'long',
  parameters: P,
): (...values: Values<P>) => number {
  let bound: ((...values: Values<P>) => number) | undefined;
  return (...values) => {
    library ??= koffi.load(null);
    bound ??= library.func(name, result, [...parameters]) as unknown as (...values: Values<P>) => number;
    return bound(...values);
  };
}

/** Turns the C library's -1 into a thrown SystemError. To be called straight after the function whose result it checks. */
export function checked(result: number, syscall: string, path?: string): number {
  if (result === -1) throw systemError(koffi.errno(), syscall, path);
  return result;
}

/** `errno` is the kernel's positive number; the words are those of Node's own errors. */
export function systemError(errno: number, syscall: string, path?: string, detail?: string): SystemError {
  const [code, words] = getSystemErrorMap().get(-errno) ?? [errnoName(errno), `error ${errno}`];
  const where = path === undefined ? '' : ` '${path}'`;
  const why = detail === undefined || detail === '' ? '' : `: ${detail}`;
  const error = new Error(`${code}: ${words}, ${syscall}${where}${why}`);
  return Object.assign(error, { code, errno: -errno, syscall }, path === undefined ? {} : { path });
}

/** Node knows the numbers that libuv uses; the kernel has more (`ENOTBLK`, `ENODATA`, …). */
function errnoName(errno: number): string {
  for (const [name, number] of Object.entries(koffi.os.errno)) if (number === errno) return name;
  return `E${errno}`;
}

/** The positive number behind a SystemError thrown here or by Node, or 0. */
export function errnoOf(error: unknown): number {
  if (error instanceof Error && 'errno' in error && typeof error.errno === 'number') return -error.errno;
  return 0;
}

const ioctlBuffer = libcFunction('ioctl', 'int', ['int', 'ulong', 'void *']);
const ioctlNumber = libcFunction('ioctl', 'int', ['int', 'ulong', 'long']);

/** `name` is the request's, for the error. */
export function ioctl(fd: number, request: number, argument: Buffer | number, name: string): number {
  const result =
    typeof argument === 'number' ? ioctlNumber(fd, request, argument) : ioctlBuffer(fd, request, argument);
  return checked(result, name);
}

export const libc = {
  close: libcFunction('close', 'int', ['int']),
  /** source, target, type, flags, options */
  mount: libcFunction('mount', 'int', ['str', 'str', 'str', 'ulong', 'str']),
  umount2: libcFunction('umount2', 'int', ['str', 'int']),
  unshare: libcFunction('unshare', 'int', ['int']),
  setns: libcFunction('setns', 'int', ['int', 'int']),
  /** path, mode with the file's kind, device */
  mknod: libcFunction('mknod', 'int', ['str', 'uint', 'ulong']),
  socket: libcFunction('socket', 'int', ['int', 'int', 'int']),
  bind: libcFunction('bind', 'int', ['int', 'void *', 'uint']),
  listen: libcFunction('listen', 'int', ['int', 'int']),
  /** descriptor, address, its length (32 bits, in and out) */
  getsockname: libcFunction('getsockname', 'int', ['int', 'void *', 'void *']),
  /** descriptor, level, option, value, its length */
  setsockopt: libcFunction('setsockopt', 'int', ['int', 'int', 'int', 'void *', 'uint']),
  send: libcFunction('send', 'long', ['int', 'void *', 'size_t', 'int']),
  recv: libcFunction('recv', 'long', ['int', 'void *', 'size_t', 'int']),
};
