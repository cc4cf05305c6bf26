import { Socket } from 'node:net';

import { internal } from '#/base/errors.ts';

import { checked, libc, libcFunction, systemError } from './libc.ts';

const posix = {
  /** pid (out), file, actions, attributes, arguments, environment; returns an error number */
  spawnp: libcFunction('posix_spawnp', 'int', ['void *', 'str', 'void *', 'void *', 'str *', 'str *']),
  actionsInit: libcFunction('posix_spawn_file_actions_init', 'int', ['void *']),
  actionsDestroy: libcFunction('posix_spawn_file_actions_destroy', 'int', ['void *']),
  addOpen: libcFunction('posix_spawn_file_actions_addopen', 'int', ['void *', 'int', 'str', 'int', 'uint']),
  addDup2: libcFunction('posix_spawn_file_actions_adddup2', 'int', ['void *', 'int', 'int']),
  attributesInit: libcFunction('posix_spawnattr_init', 'int', ['void *']),
  setFlags: libcFunction('posix_spawnattr_setflags', 'int', ['void *', 'int']),
  setSigdefault: libcFunction('posix_spawnattr_setsigdefault', 'int', ['void *', 'void *']),
  socketpair: libcFunction('socketpair', 'int', ['int', 'int', 'int', 'void *']),
  waitpid: libcFunction('waitpid', 'int', ['int', 'void *', 'int']),
};

// glibc's spawn.h.
const POSIX_SPAWN_SETSIGDEF = 0x04;
const POSIX_SPAWN_SETSIGMASK = 0x08;
const POSIX_SPAWN_SETSID = 0x80;
// Larger than glibc's and musl's posix_spawn_file_actions_t (80 bytes), posix_spawnattr_t (336) and sigset_t (128).
const OPAQUE_SIZE = 512;

const AF_UNIX = 1;
const SOCK_STREAM = 1;
const SOCK_CLOEXEC = 0o2000000;
const O_RDWR = 2;
const WNOHANG = 1;
const CHANNEL_FD = 3;

export interface ChannelProcess {
  readonly pid: number;
  /** Our end of the pair; the caller's to destroy. */
  readonly channel: Socket;
}

/**
 * Starts a program in a session of its own, with stdio on /dev/null and one end of a connected pair of unix stream sockets as
 * its descriptor 3; it outlives this process. `environment` has `NAME=value` entries, this process's own without it.
 *
 * posix_spawn shares this process's memory until the program is executed. Node's own spawn copies the page tables first, which
 * takes longer than the program's whole start once the engine has some memory.
 */
export function spawnWithChannel(
  command: string,
  args: readonly string[],
  environment: readonly string[] = ownEnvironment(),
): ChannelProcess {
  const pair = Buffer.alloc(8);
  checked(posix.socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 'socketpair');
  const [ours, theirs] = [pair.readInt32LE(0), pair.readInt32LE(4)];
  let channel: Socket | undefined;
  try {
    const pid = spawn(command, args, environment, theirs);
    channel = new Socket({ fd: ours, readable: true, writable: true });
    channel.once('close', () => reap(pid));
    return { pid, channel };
  } finally {
    libc.close(theirs);
    if (channel === undefined) libc.close(ours);
  }
}

const ownEnvironment = (): string[] => Object.entries(process.env).map(([name, value]) => `${name}=${value}`);

function spawn(
  command: string,
  args: readonly string[],
  environment: readonly string[],
  channel: number,
): number {
  const actions = Buffer.alloc(OPAQUE_SIZE);
  const attributes = Buffer.alloc(OPAQUE_SIZE);
  posix.actionsInit(actions);
  try {
    posix.addOpen(actions, 0, '/dev/null', O_RDWR, 0);
    posix.addDup2(actions, 0, 1);
    posix.addDup2(actions, 0, 2);
    posix.addDup2(actions, channel, CHANNEL_FD);
    posix.attributesInit(attributes);
    // No signal blocked, none ignored (Node ignores SIGPIPE).
    posix.setSigdefault(attributes, Buffer.alloc(OPAQUE_SIZE, 0xff));
    posix.setFlags(attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
    const pid = Buffer.alloc(4);
    const error = posix.spawnp(
      pid,
      command,
      actions,
      attributes,
      [command, ...args, null],
      [...environment, null],
    );
    if (error !== 0) {
      const cause = systemError(error, 'posix_spawnp', command);
      throw internal(`Cannot run "${command}": ${cause.message}`, { cause });
    }
    return pid.readInt32LE(0);
  } finally {
    posix.actionsDestroy(actions);
  }
}

/** Node reaps only what it started. The channel closes a moment before the process becomes a zombie, or long before it ends. */
function reap(pid: number, pause = 5): void {
  if (posix.waitpid(pid, null, WNOHANG) !== 0) return;
  setTimeout(() => reap(pid, Math.min(pause * 2, 10_000)), pause).unref();
}
