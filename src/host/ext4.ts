import { closeSync, openSync } from 'node:fs';
import { truncate } from 'node:fs/promises';
import { errnoCode, internal } from '#/base/errors.ts';
import { checked, libc } from './libc.ts';
import { withWritableLoopDevice } from './loop-device.ts';
import { run } from './process.ts';

const BLOCK = 4096;
/** One inode for so many bytes: mke2fs's own default, of which each takes 256. */
const BYTES_PER_INODE = 16_384;
/** The journal, and what stands beside it whatever the size. */
const FIXED_BYTES = 6 << 20;
/** Below that mke2fs leaves out the journal. */
const SMALLEST_FILE = 10 << 20;
const DEADLINE_MS = 60_000;

/*
 * Next to nothing is written at once: tables are what a hole in a sparse file reads as, and groups of groups keep them together. A gigabyte
 * takes about 160 KB of the disk this way, and a terabyte 3 MB.
 */
const OPTIONS =
  `-q -F -t ext4 -b ${BLOCK} -i ${BYTES_PER_INODE} -m 0 -J size=4 -G 64 -O ^resize_inode,sparse_super2 -E lazy_itable_init=1,lazy_journal_init=1,nodiscard`.split(
    ' ',
  );

/** Makes a sparse file with a filesystem of about `size` bytes for files (at least 4 MB), which holds what the directory `content` does. */
export async function makeExt4(file: string, size: number, content: string): Promise<void> {
  const whole = Math.max(size * (1 + 256 / BYTES_PER_INODE) + FIXED_BYTES, SMALLEST_FILE);
  closeSync(openSync(file, 'wx', 0o600));
  await truncate(file, Math.ceil(whole / BLOCK) * BLOCK);
  try {
    const { code, stderr } = await run('mke2fs', [...OPTIONS, '-d', content, file], {
      timeoutMs: DEADLINE_MS,
      // Debian keeps it where users' PATHs do not look.
      env: { ...process.env, PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin` },
    });
    if (code !== 0) throw internal(`Cannot make a filesystem of ${size} bytes: ${stderr.toString().trim()}`);
  } catch (error) {
    if (errnoCode(error) !== 'ENOENT') throw error;
    throw internal('Cannot limit a filesystem without mke2fs: install the package "e2fsprogs"', {
      cause: error,
    });
  }
}

/** Mounts it through a loop device that goes with the last mount. What is deleted in it frees space of the disk. */
export function mountExt4(file: string, directory: string): void {
  withWritableLoopDevice(file, (device) => {
    checked(libc.mount(device, directory, 'ext4', 0, 'discard,noinit_itable'), 'mount', file);
  });
}
