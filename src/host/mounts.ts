import { close, closeSync, constants, openSync } from 'node:fs';
import koffi from 'koffi';
import { errnoCode } from '#/base/errors.ts';
import { checked, libc, systemError } from './libc.ts';
import { withLoopDevice } from './loop-device.ts';
import {
  MOUNT_ATTR_RDONLY,
  MountContext,
  attachMount,
  cloneMount,
  mapMountOwners,
  setMountAttributes,
} from './mount-api.ts';
import { listMounts } from './mountinfo.ts';

export { listMounts, type MountInfo } from './mountinfo.ts';

/* include/uapi/linux/mount.h */
const MS_RDONLY = 1;
const MS_REMOUNT = 32;
const MS_BIND = 4096;
const MS_REC = 16384;
const FLAGS: Record<string, number> = {
  ro: MS_RDONLY,
  nosuid: 2,
  nodev: 4,
  noexec: 8,
  sync: 16,
  dirsync: 128,
  noatime: 1024,
  nodiratime: 2048,
  relatime: 1 << 21,
  strictatime: 1 << 24,
};
const PROPAGATION: Record<string, number> = {
  private: 1 << 18,
  slave: 1 << 19,
  shared: 1 << 20,
  unbindable: 1 << 17,
};
const MNT_DETACH = 2;
const UMOUNT_NOFOLLOW = 8;

/** What a kernel answers to a mount call or an option that it does not know. */
const UNKNOWN = new Set(['ENOSYS', 'EINVAL', 'EOPNOTSUPP']);

/** A kernel that wants a block device writes a line into its log each time it is given a file, so it is given one only once. */
let mountsErofsFiles = true;

/**
 * Mounts an EROFS image read-only: straight from the file, where the kernel (6.12) and the file system it lies on allow
 * that, which tmpfs does not; else through a loop device that frees itself.
 */
export function mountErofs(file: string, target: string): void {
  if (mountsErofsFiles) {
    if (libc.mount(file, target, 'erofs', MS_RDONLY, null) !== -1) return;
    const errno = koffi.errno();
    const direct = systemError(errno, 'mount', file);
    if (direct.code !== 'ENOTBLK') throw direct;
    mountsErofsFiles = false;
  }
  withLoopDevice(file, (device) => {
    checked(libc.mount(device, target, 'erofs', MS_RDONLY, null), 'mount', file);
  });
}

export interface OverlayMount {
  /** Directories, the topmost layer first. */
  lower: string[];
  /** Without it the mount is read-only. */
  upper?: string;
  work?: string;
  target: string;
  /** Leave out every sync to the upper file system: faster, and lost with the machine. */
  volatile?: boolean;
}

/*
 * Fixed whatever the kernel was built with: each of the three leaves marks in the upper directory that make it depend on
 * the lower ones, and an upper directory must be readable as a layer by itself.
 */
const OVERLAY_OPTIONS = { index: 'off', metacopy: 'off', redirect_dir: 'off' };

/** Whether `lowerdir+` is known (Linux 6.7): asking an older kernel writes a line into its log, so it is asked once. */
let takesLayersOneByOne = true;

/** Mounts an overlay of up to 500 lower directories (the kernel's own limit), of any path length; some 200 before Linux 6.7. */
export function mountOverlay(overlay: OverlayMount): void {
  const [only] = overlay.lower;
  // The kernel refuses a read-only overlay of one directory.
  if (overlay.upper === undefined && overlay.lower.length === 1 && only !== undefined) {
    return bindMount(only, overlay.target, { readonly: true });
  }
  if (!takesLayersOneByOne) return mountOverlayByString(overlay);
  try {
    mountOverlayByContext(overlay);
  } catch (error) {
    // A second failure says that something else was wrong, and the first one what.
    if (!UNKNOWN.has(errnoCode(error) ?? '')) throw error;
    try {
      mountOverlayByString(overlay);
    } catch {
      throw error;
    }
    takesLayersOneByOne = false;
  }
}

function mountOverlayByContext({ lower, upper, work, target, volatile }: OverlayMount): void {
  using paths = new ShortPaths(255);
  using context = new MountContext('overlay');
  context.set('source', 'overlay');
  for (const [key, value] of Object.entries(OVERLAY_OPTIONS)) context.set(key, value);
  for (const directory of lower) context.set('lowerdir+', paths.shorten(directory));
  if (upper !== undefined) context.set('upperdir', paths.shorten(upper));
  if (work !== undefined) context.set('workdir', paths.shorten(work));
  if (volatile === true) context.flag('volatile');
  context.mount(target, upper === undefined ? MOUNT_ATTR_RDONLY : 0);
}

function mountOverlayByString({ lower, upper, work, target, volatile }: OverlayMount): void {
  const length = [...lower, upper, work].reduce((sum, path) => sum + (path?.length ?? 0) + 1, 200);
  // A page of options is all that mount(2) takes; descriptors are short names for any directory.
  using paths = new ShortPaths(length > 4000 || lower.some((path) => /[:,\\]/.test(path)) ? 0 : Infinity);
  const options = Object.entries(OVERLAY_OPTIONS).map(([key, value]) => `${key}=${value}`);
  options.push(`lowerdir=${lower.map((path) => paths.shorten(path)).join(':')}`);
  if (upper !== undefined) options.push(`upperdir=${paths.shorten(upper)}`);
  if (work !== undefined) options.push(`workdir=${paths.shorten(work)}`);
  if (volatile === true) options.push('volatile');
  const flags = upper === undefined ? MS_RDONLY : 0;
  checked(libc.mount('overlay', target, 'overlay', flags, options.join(',')), 'mount', target);
}

/** Names of at most `limit` bytes for directories: themselves, or this process's name for a descriptor on them. */
class ShortPaths implements Disposable {
  readonly #limit: number;
  readonly #descriptors: number[] = [];

  constructor(limit: number) {
    this.#limit = limit;
  }

  shorten(path: string): string {
    if (Buffer.byteLength(path) <= this.#limit) return path;
    const fd = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
    this.#descriptors.push(fd);
    return `/proc/self/fd/${fd}`;
  }

  [Symbol.dispose](): void {
    for (const fd of this.#descriptors) closeSync(fd);
  }
}

export interface BindOptions {
  /** Take the mounts below `source` along; with `readonly` those become read-only too. */
  recursive?: boolean;
  readonly?: boolean;
  /** `private`, `slave`, `shared` or `unbindable`; with an `r` before it, the mounts below as well. */
  propagation?: string;
}

/** Shows the file or directory `source` at `target`, which must exist and be of the same kind. */
export function bindMount(
  source: string,
  target: string,
  { recursive = false, readonly = false, propagation }: BindOptions = {},
): void {
  if (!readonly || !bindReadonlyAtOnce(source, target, recursive)) {
    const flags = MS_BIND | (recursive ? MS_REC : 0);
    checked(libc.mount(source, target, null, flags, null), 'mount', target);
    if (readonly) remountReadonly(target, recursive);
  }
  if (propagation !== undefined) setPropagation(target, propagation);
}

/** Read-only before anybody can see it: Linux 5.12. False where the kernel is older. */
function bindReadonlyAtOnce(source: string, target: string, recursive: boolean): boolean {
  let fd: number;
  try {
    fd = cloneMount(source, recursive);
  } catch (error) {
    if (errnoCode(error) === 'ENOSYS') return false;
    throw error;
  }
  try {
    setMountAttributes(fd, MOUNT_ATTR_RDONLY, recursive);
    attachMount(fd, target);
    return true;
  } catch (error) {
    if (errnoCode(error) === 'ENOSYS') return false;
    throw error;
  } finally {
    libc.close(fd);
  }
}

/** What is mounted at `target` can only be read from there from now on; mounts below it stay as they are. */
export function makeReadonly(target: string): void {
  remountReadonly(target, false);
}

/**
 * Shows the directory `source` at `target` with the owners that a user namespace, given by its file, maps its own to: what is root's
 * there is here its root's. The filesystem must be able to (`EINVAL`): most are since Linux 5.12, EROFS since 5.19.
 */
export function mountIdmapped(source: string, target: string, userNamespace: string): void {
  const fd = cloneMount(source, false);
  try {
    const namespace = openSync(userNamespace, constants.O_RDONLY);
    try {
      mapMountOwners(fd, namespace);
    } finally {
      closeSync(namespace);
    }
    attachMount(fd, target);
  } finally {
    libc.close(fd);
  }
}

function remountReadonly(target: string, recursive: boolean): void {
  for (const mount of listMounts()) {
    if (mount.target !== target && !(recursive && mount.target.startsWith(`${target}/`))) continue;
    // Flags that the remount does not repeat would be cleared, and the kernel forbids that for inherited ones.
    const kept = mount.options.split(',').reduce((flags, option) => flags | (FLAGS[option] ?? 0), 0);
    const flags = MS_REMOUNT | MS_BIND | MS_RDONLY | kept;
    checked(libc.mount(null, mount.target, null, flags, null), 'mount', mount.target);
  }
}

/** `mode` as in BindOptions.propagation. */
export function setPropagation(target: string, mode: string): void {
  const recursive = mode.startsWith('r');
  const flag = PROPAGATION[recursive ? mode.slice(1) : mode];
  if (flag === undefined) throw new Error(`Cannot set propagation "${mode}" of "${target}": unknown mode`);
  checked(libc.mount(null, target, null, flag | (recursive ? MS_REC : 0), null), 'mount', target);
}

export interface TmpfsOptions {
  /** Bytes; half the machine's memory without it. */
  size?: number;
  /** Permission bits of its root directory. */
  mode?: number;
  /** `nosuid`, `nodev`, `noexec`, `ro`, …, or any option of tmpfs itself as `key=value`. */
  flags?: string[];
}

export function mountTmpfs(target: string, { size, mode, flags = [] }: TmpfsOptions = {}): void {
  const options = flags.filter((flag) => FLAGS[flag] === undefined);
  if (size !== undefined) options.push(`size=${size}`);
  if (mode !== undefined) options.push(`mode=${mode.toString(8)}`);
  const bits = flags.reduce((sum, flag) => sum | (FLAGS[flag] ?? 0), 0);
  checked(libc.mount('tmpfs', target, 'tmpfs', bits, options.join(',')), 'mount', target);
}

/**
 * Unmounts the topmost mount at `target`; nothing mounted there, or no such file, is no error. `lazy` takes it out of
 * sight at once and frees it when its last user goes.
 */
export function unmount(target: string, { lazy = false }: { lazy?: boolean } = {}): void {
  if (libc.umount2(target, UMOUNT_NOFOLLOW | (lazy ? MNT_DETACH : 0)) !== -1) return;
  const errno = koffi.errno();
  const error = systemError(errno, 'umount2', target);
  if (error.code !== 'EINVAL' && error.code !== 'ENOENT') throw error;
}

/**
 * Like a lazy `unmount` of a directory, but it is freed in another thread: freeing an overlay waits until the whole filesystem
 * below it is on disk. `done` is called when it is free, unless others still use it, and not before the caller has returned.
 */
export function unmountAside(target: string, done: () => void): void {
  let user: number | undefined;
  try {
    user = openSync(target, constants.O_RDONLY | constants.O_DIRECTORY);
  } catch (error) {
    if (errnoCode(error) !== 'ENOENT') throw error;
  }
  try {
    unmount(target, { lazy: true });
  } finally {
    if (user === undefined) setImmediate(done);
    else close(user, done);
  }
}
