import { closeSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { checked, ioctl, libc } from './libc.ts';
import { bindMount, unmount } from './mounts.ts';

const CLONE_NEWNET = 0x40000000;
const OWN_NETNS = '/proc/thread-self/ns/net';

/* include/uapi/linux/{socket,sockios,if}.h */
const AF_INET = 2;
const SOCK_DGRAM_CLOEXEC = 2 | 0x80000;
const SIOCSIFFLAGS = 0x8914;
const IFF_UP = 1;

/*
 * A network namespace belongs to a thread. Everything here goes in, works and comes back within one turn of the event
 * loop, so that neither other JavaScript nor a thread that libuv might start ever sees the foreign namespace.
 */

/**
 * Makes a network namespace with `lo` up and keeps it at `path`, a file that is made when it is missing. A namespace
 * left there by a crash is let go.
 */
export function createNetns(path: string): void {
  const fd = newNetns();
  try {
    keepNetns(fd, path);
  } finally {
    closeSync(fd);
  }
}

/**
 * One network namespace made ahead of time, for the next container: the kernel takes a millisecond for one, and there is time
 * while another process works. It is nothing but a descriptor, so a process that is killed leaves none. The kernel gives a
 * namespace its settings when it is made.
 */
export class SpareNetns implements Disposable {
  #fd: number | undefined;

  /** Makes one if there is none. One that cannot be made now is made, or complained of, when it is wanted. */
  make(): void {
    try {
      this.#fd ??= newNetns();
    } catch {
      return;
    }
  }

  /** Like `createNetns`, with the spare one if there is one; nobody gets that again. */
  keep(path: string): void {
    const fd = this.#fd ?? newNetns();
    this.#fd = undefined;
    try {
      keepNetns(fd, path);
    } finally {
      closeSync(fd);
    }
  }

  [Symbol.dispose](): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }
}

/** A descriptor on a new network namespace with `lo` up. */
function newNetns(): number {
  const home = openSync(OWN_NETNS, 'r');
  try {
    checked(libc.unshare(CLONE_NEWNET), 'unshare', OWN_NETNS);
    try {
      bringLoopbackUp();
      return openSync(OWN_NETNS, 'r');
    } finally {
      goHome(home);
    }
  } finally {
    closeSync(home);
  }
}

function keepNetns(fd: number, path: string): void {
  unmount(path, { lazy: true });
  writeFileSync(path, '', { flag: 'a', mode: 0o444 });
  try {
    bindMount(`/proc/self/fd/${fd}`, path);
  } catch (error) {
    rmSync(path, { force: true });
    throw error;
  }
}

/** Forgets the namespace; the kernel takes it and its links away when its last process or descriptor has gone. */
export function removeNetns(path: string): void {
  unmount(path, { lazy: true });
  rmSync(path, { force: true });
}

/** Runs `run`, which must be synchronous, with this thread inside the namespace: sockets opened there stay there. */
export function withNetns<T>(path: string, run: () => T): T {
  const home = openSync(OWN_NETNS, 'r');
  try {
    const there = openSync(path, 'r');
    try {
      checked(libc.setns(there, CLONE_NEWNET), 'setns', path);
    } finally {
      closeSync(there);
    }
    try {
      return run();
    } finally {
      goHome(home);
    }
  } finally {
    closeSync(home);
  }
}

/** There is no going on in the wrong namespace: every later socket of the daemon would be opened in a container. */
function goHome(home: number): void {
  try {
    checked(libc.setns(home, CLONE_NEWNET), 'setns', OWN_NETNS);
  } catch (error) {
    process.stderr.write(`Cannot return to the own network namespace: ${String(error)}\n`);
    process.abort();
  }
}

function bringLoopbackUp(): void {
  const fd = checked(libc.socket(AF_INET, SOCK_DGRAM_CLOEXEC, 0), 'socket');
  try {
    // struct ifreq: 16 bytes of name, then a union of 24 bytes, here the flags.
    const request = Buffer.alloc(40);
    request.write('lo', 0);
    request.writeUInt16LE(IFF_UP, 16);
    ioctl(fd, SIOCSIFFLAGS, request, 'SIOCSIFFLAGS');
  } finally {
    libc.close(fd);
  }
}
