import { closeSync, existsSync, openSync } from 'node:fs';
import { errnoCode } from '#/base/errors.ts';
import { checked, ioctl, libc } from './libc.ts';

/* include/uapi/linux/loop.h */
const LOOP_CONFIGURE = 0x4c0a;
const LOOP_CTL_GET_FREE = 0x4c82;
const LO_FLAGS_READ_ONLY = 1;
const LO_FLAGS_AUTOCLEAR = 4;
/** `struct loop_config`: fd, block size, `struct loop_info64` (232 bytes, flags at 52), eight reserved words. */
const CONFIG_SIZE = 8 + 232 + 64;
const FLAGS_OFFSET = 8 + 52;

const S_IFBLK = 0o060000;
const LOOP_MAJOR = 7;

/**
 * Attaches a file to a free loop device, read-only, and calls `use` with the device's path. The device goes by itself
 * once nothing uses it: a mount made in `use` keeps it.
 */
export function withLoopDevice<T>(file: string, use: (device: string) => T): T {
  const backing = openSync(file, 'r');
  try {
    for (let attempt = 0; ; attempt++) {
      const device = freeDevice();
      const fd = openSync(device, 'r');
      try {
        const config = Buffer.alloc(CONFIG_SIZE);
        config.writeUInt32LE(backing, 0);
        config.writeUInt32LE(LO_FLAGS_READ_ONLY | LO_FLAGS_AUTOCLEAR, FLAGS_OFFSET);
        ioctl(fd, LOOP_CONFIGURE, config, 'LOOP_CONFIGURE');
        return use(device);
      } catch (error) {
        // Between the two calls somebody else may have taken the device.
        if (errnoCode(error) !== 'EBUSY' || attempt === 20) throw error;
      } finally {
        closeSync(fd);
      }
    }
  } finally {
    closeSync(backing);
  }
}

function freeDevice(): string {
  const control = openSync('/dev/loop-control', 'r+');
  try {
    const number = ioctl(control, LOOP_CTL_GET_FREE, 0, 'LOOP_CTL_GET_FREE');
    const device = `/dev/loop${number}`;
    // Without udev nobody makes the node of a device the kernel has just added.
    if (!existsSync(device)) {
      checked(libc.mknod(device, S_IFBLK | 0o660, (LOOP_MAJOR << 8) | number), 'mknod', device);
    }
    return device;
  } finally {
    closeSync(control);
  }
}
