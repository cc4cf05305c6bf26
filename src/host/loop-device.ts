import { closeSync, existsSync, openSync, readdirSync, readFileSync } from 'node:fs';
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
const S_IFCHR = 0o020000;
const LOOP_MAJOR = 7;
/* include/linux/miscdevice.h */
const CONTROL = '/dev/loop-control';
const MISC_MAJOR = 10;
const LOOP_CONTROL_MINOR = 237;

/**
 * Attaches a file to a free loop device, read-only, and calls `use` with the device's path. The device goes by itself
 * once nothing uses it: a mount made in `use` keeps it.
 */
export function withLoopDevice<T>(file: string, use: (device: string) => T): T {
  return attach(file, 'r', LO_FLAGS_READ_ONLY, use);
}

/**
 * The same for a file that is written to. One that is attached already, because a mount of it lives on in some namespace, is used by that
 * very device: two would each keep their own idea of what is in it.
 */
export function withWritableLoopDevice<T>(file: string, use: (device: string) => T): T {
  const attached = deviceOf(file);
  if (attached === undefined) return attach(file, 'r+', 0, use);
  const fd = openSync(attached, 'r+');
  try {
    // Held open it cannot go any more; it may have gone, and come back with another file, before that.
    if (deviceOf(file) === attached) return use(attached);
  } finally {
    closeSync(fd);
  }
  return attach(file, 'r+', 0, use);
}

function deviceOf(file: string): string | undefined {
  for (const name of readdirSync('/sys/block')) {
    if (!name.startsWith('loop')) continue;
    try {
      const backing = readFileSync(`/sys/block/${name}/loop/backing_file`, 'utf8');
      if (backing === `${file}\n`) return `/dev/${name}`;
    } catch (error) {
      // Devices that nothing is attached to have no such file.
      if (errnoCode(error) !== 'ENOENT') throw error;
    }
  }
  return undefined;
}

function attach<T>(file: string, mode: 'r' | 'r+', flags: number, use: (device: string) => T): T {
  const backing = openSync(file, mode);
  try {
    for (let attempt = 0; ; attempt++) {
      const device = freeDevice();
      const fd = openSync(device, mode);
      try {
        const config = Buffer.alloc(CONFIG_SIZE);
        config.writeUInt32LE(backing, 0);
        config.writeUInt32LE(flags | LO_FLAGS_AUTOCLEAR, FLAGS_OFFSET);
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

/** Whether files can be attached here. Opening the control device loads the kernel's module where it is one. */
export function hasLoopDevices(): boolean {
  try {
    closeSync(openControl());
    return true;
  } catch {
    return false;
  }
}

function openControl(): number {
  // udev makes the node before the module is loaded; without it nobody does.
  if (!existsSync(CONTROL)) {
    checked(libc.mknod(CONTROL, S_IFCHR | 0o660, (MISC_MAJOR << 8) | LOOP_CONTROL_MINOR), 'mknod', CONTROL);
  }
  return openSync(CONTROL, 'r+');
}

function freeDevice(): string {
  const control = openControl();
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
