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
 * One network namespace made ahead of time, for the next container: the kernel takes a millisecond for one and more for what is put
 * inside, and there is time while another process works. It is nothing but a descriptor, so a process that is killed leaves none, nor
 * what is inside. The kernel gives a namespace its settings when it is made.
 */
export class SpareNetns<Inside> implements Disposable {
  #spare: { kind: string; fd: number; inside: Inside } | undefined;

  /**
   * Makes one of this kind if there is none; `furnish` is told its path. One that cannot be made now is made, or complained of, when
   * it is wanted.
   */
  make(kind: string, furnish: (netns: string) => Inside): void {
    if (this.#spare?.kind === kind) return;
    this[Symbol.dispose]();
    let fd: number | undefined;
    try {
      fd = newNetns();
      this.#spare = { kind, fd, inside: furnish(`/proc/self/fd/${fd}`) };
    } catch {
      if (fd !== undefined) closeSync(fd);
    }
  }

  /** Like `createNetns`, with the spare one if that is of this kind; nobody gets it again. Gives what is inside. */
  keep(kind: string, path: string): Inside | undefined {
    const ready = this.#spare?.kind === kind ? this.#spare : undefined;
    if (ready !== undefined) this.#spare = undefined;
    const fd = ready?.fd ?? newNetns();
    try {
      keepNetns(fd, path);
      return ready?.inside;
    } finally {
      closeSync(fd);
    }
  }

  [Symbol.dispose](): void {
    if (this.#spare !== undefined) closeSync(this.#spare.fd);
    this.#spare = undefined;
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

/** Keeps the namespace of another path, `/proc/PID/ns/net` or one that is kept, at a path of its own. */
export function shareNetns(from: string, path: string): void {
  const fd = openSync(from, 'r');
  try {
    keepNetns(fd, path);
  } finally {
    closeSync(fd);
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
