import { closeSync, constants, fchownSync, fstatSync, openSync, readSync, writeFileSync } from 'node:fs';
import { errnoCode, internal } from '#/base/errors.ts';

/**
 * What the engine has in common with a sandbox: a directory that belongs to QEMU's user, so to whoever has broken out of QEMU. He may put
 * links, fifos or endless files there, or exchange what the engine has just made: nothing is opened by a name that may lead elsewhere, nor
 * waited for, nor read beyond a limit.
 */
export interface FileOwner {
  uid: number;
  gid: number;
}

const O_PATH = 0o10000000;

/** Makes a file (mode 0600) of the owner's. Throws the system's error, EEXIST when anything has this name. */
export function leaveFile(file: string, content: Uint8Array, { uid, gid }: FileOwner): void {
  const { O_CREAT, O_EXCL, O_NOFOLLOW, O_WRONLY } = constants;
  const fd = openSync(file, O_CREAT | O_EXCL | O_NOFOLLOW | O_WRONLY, 0o600);
  try {
    fchownSync(fd, uid, gid);
    writeFileSync(fd, content);
  } finally {
    closeSync(fd);
  }
}

/** A regular file's content; undefined when there is none of this name, or something else, or it has more than `limit` bytes. */
export function takeFile(file: string, limit: number): Buffer | undefined {
  const fd = openCarefully(file);
  if (fd === undefined) return undefined;
  try {
    const stat = fstatSync(fd);
    if (!stat.isFile() || stat.size > limit) return undefined;
    const content = Buffer.alloc(stat.size);
    // It may have become shorter meanwhile; what it has become longer is not seen.
    return content.subarray(0, readSync(fd, content, 0, content.length, 0));
  } finally {
    closeSync(fd);
  }
}

function openCarefully(file: string): number | undefined {
  const { O_NOCTTY, O_NOFOLLOW, O_NONBLOCK, O_RDONLY } = constants;
  try {
    return openSync(file, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_NOCTTY);
  } catch (error) {
    // ELOOP: a link; ENXIO: a socket.
    if (['ENOENT', 'ELOOP', 'ENXIO'].includes(errnoCode(error) ?? '')) return undefined;
    throw error;
  }
}

/**
 * Hands the path of a socket to `connect`, one that leads to what is looked at here and nowhere else, valid until the promise is settled.
 * Rejects when there is no such socket, or it is not the owner's.
 */
export async function withSocket<T>(
  file: string,
  owner: FileOwner,
  connect: (path: string) => Promise<T>,
): Promise<T> {
  const fd = openSync(file, O_PATH | constants.O_NOFOLLOW);
  try {
    const stat = fstatSync(fd);
    if (!stat.isSocket() || stat.uid !== owner.uid) throw internal(`"${file}" is not the microVM's socket`);
    return await connect(`/proc/self/fd/${fd}`);
  } finally {
    closeSync(fd);
  }
}

/** Without what would command the terminal of whoever reads it. */
export function printable(text: string): string {
  return text.replaceAll(/[^\P{Cc}\n\t]/gu, '');
}
