import { readSync } from 'node:fs';
import { checked, libc, libcFunction, systemError } from './libc.ts';
import koffi from 'koffi';

/*
 * The file-descriptor based mount calls of Linux 5.2 and later. Debian 12's C library (2.36) has wrappers, older ones do
 * not, and the numbers are the same on every architecture since 5.1, so they are called by number.
 */
const OPEN_TREE = 428;
const MOVE_MOUNT = 429;
const FSOPEN = 430;
const FSCONFIG = 431;
const FSMOUNT = 432;
const MOUNT_SETATTR = 442;

const CLOEXEC = 1;
const AT_FDCWD = -100;
const AT_EMPTY_PATH = 0x1000;
const AT_RECURSIVE = 0x8000;
const OPEN_TREE_CLONE = 1;
const OPEN_TREE_CLOEXEC = 0x80000;
const MOVE_MOUNT_F_EMPTY_PATH = 4;
/** As mount(2) does: a target may be named by its descriptor in /proc. */
const MOVE_MOUNT_T_SYMLINKS = 0x10;
const FSCONFIG_SET_FLAG = 0;
const FSCONFIG_SET_STRING = 1;
const FSCONFIG_CMD_CREATE = 6;
export const MOUNT_ATTR_RDONLY = 1;
const MOUNT_ATTR_IDMAP = 0x100000;

const fsopen = libcFunction('syscall', 'long', ['long', 'str', 'uint']);
const fsconfig = libcFunction('syscall', 'long', ['long', 'int', 'uint', 'str', 'str', 'int']);
const fsmount = libcFunction('syscall', 'long', ['long', 'int', 'uint', 'uint']);
const moveMount = libcFunction('syscall', 'long', ['long', 'int', 'str', 'int', 'str', 'uint']);
const openTree = libcFunction('syscall', 'long', ['long', 'int', 'str', 'uint']);
const mountSetattr = libcFunction('syscall', 'long', ['long', 'int', 'str', 'uint', 'void *', 'size_t']);

/** A file system under construction: options one by one, so that no 4 KiB page bounds them, then a mount. */
export class MountContext implements Disposable {
  readonly #fd: number;
  readonly #type: string;

  constructor(type: string) {
    this.#type = type;
    this.#fd = checked(fsopen(FSOPEN, type, CLOEXEC), 'fsopen', type);
  }

  /** The kernel takes at most 255 bytes of value. */
  set(key: string, value: string): void {
    this.#configure(FSCONFIG_SET_STRING, key, value);
  }

  flag(key: string): void {
    this.#configure(FSCONFIG_SET_FLAG, key, null);
  }

  mount(target: string, attributes = 0): void {
    this.#configure(FSCONFIG_CMD_CREATE, null, null);
    const mount = fsmount(FSMOUNT, this.#fd, CLOEXEC, attributes);
    if (mount === -1) throw systemError(koffi.errno(), 'fsmount', target, this.#messages());
    try {
      attachMount(mount, target);
    } finally {
      libc.close(mount);
    }
  }

  [Symbol.dispose](): void {
    libc.close(this.#fd);
  }

  #configure(command: number, key: string | null, value: string | null): void {
    if (fsconfig(FSCONFIG, this.#fd, command, key, value, 0) !== -1) return;
    const errno = koffi.errno();
    const what = key === null ? 'create' : value === null ? key : `${key}=${value}`;
    throw systemError(errno, `fsconfig ${this.#type}`, what, this.#messages());
  }

  /** The context's descriptor reads as a log, one message a read, until ENODATA. */
  #messages(): string {
    const lines: string[] = [];
    const buffer = Buffer.alloc(1024);
    try {
      for (;;) lines.push(buffer.toString('utf8', 0, readSync(this.#fd, buffer)).trim());
    } catch {
      return lines.map((line) => line.replace(/^[ewi] /, '')).join('; ');
    }
  }
}

/** A private copy of the mount at `path`, attached nowhere yet; the caller closes the descriptor. */
export function cloneMount(path: string, recursive: boolean): number {
  const flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (recursive ? AT_RECURSIVE : 0);
  return checked(openTree(OPEN_TREE, AT_FDCWD, path, flags), 'open_tree', path);
}

export function attachMount(fd: number, target: string): void {
  const flags = MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_SYMLINKS;
  const result = moveMount(MOVE_MOUNT, fd, '', AT_FDCWD, target, flags);
  checked(result, 'move_mount', target);
}

/** Linux 5.12. */
export function setMountAttributes(fd: number, set: number, recursive: boolean): void {
  setAttributes(fd, set, recursive, 0);
}

/** Shows owners as this user namespace maps them, given its descriptor. For a mount that is attached nowhere yet. Linux 5.12. */
export function mapMountOwners(fd: number, userNamespace: number): void {
  setAttributes(fd, MOUNT_ATTR_IDMAP, false, userNamespace);
}

/** `struct mount_attr`: what to set, what to clear, propagation, user namespace. */
function setAttributes(fd: number, set: number, recursive: boolean, userNamespace: number): void {
  const attributes = Buffer.alloc(32);
  attributes.writeBigUInt64LE(BigInt(set), 0);
  attributes.writeBigUInt64LE(BigInt(userNamespace), 24);
  const flags = AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0);
  const result = mountSetattr(MOUNT_SETATTR, fd, '', flags, attributes, attributes.length);
  checked(result, 'mount_setattr');
}
