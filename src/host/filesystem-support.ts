import { readFileSync } from 'node:fs';
import path from 'node:path';
import koffi from 'koffi';
import { errnoCode } from '#/base/errors.ts';
import { libc, systemError } from './libc.ts';
import { hasLoopDevices } from './loop-device.ts';
import { MountContext } from './mount-api.ts';

const MS_RDONLY = 1;

/** Whether the kernel can mount this type. Asking makes it load the module, which /proc/filesystems alone would not show. */
export function knowsFilesystem(type: string): boolean {
  try {
    new MountContext(type)[Symbol.dispose]();
    return true;
  } catch (error) {
    // Older than fsopen(2): Linux 5.2.
    if (errnoCode(error) === 'ENOSYS')
      return readFileSync('/proc/filesystems', 'utf8').includes(`\t${type}\n`);
    return false;
  }
}

/** Why EROFS images that lie beside `sample`, a file that is none, cannot be mounted; undefined when they can. */
export function whyNoErofs(sample: string): string | undefined {
  if (!knowsFilesystem('erofs')) return 'the kernel has no EROFS, and "modprobe erofs" finds none';
  if (mountsFiles(sample) || hasLoopDevices()) return undefined;
  return 'the kernel mounts EROFS only from block devices, and has no loop devices ("modprobe loop")';
}

/** Linux 6.12, on most file systems: an older one wants a block device before it looks at what is in it. */
function mountsFiles(sample: string): boolean {
  libc.mount(sample, path.dirname(sample), 'erofs', MS_RDONLY, null);
  return systemError(koffi.errno(), 'mount', sample).code !== 'ENOTBLK';
}
