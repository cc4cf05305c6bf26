import type { Readable, Writable } from 'node:stream';
import type { RuntimeProcess, RuntimeResources, RuntimeSpec } from '#/oci/runtime-spec.ts';

/**
 * Runs containers from OCI bundles. A container behind namespaces and one behind a hypervisor are two Runtimes, and no
 * caller can tell.
 *
 * A **task** is one run of a container. Its life: `create` starts its monitor, a small process that owns stdio and the log,
 * outlives the engine and records the exit; nothing of the user's runs yet, so that whoever wants the first byte of output
 * can `attach` first; `start` runs the process; `exited` resolves when it ends; `remove` deletes what the run left (cgroup, runtime
 * state, `directory`), which is right only after the exit. After an engine restart `load` finds the task again, running or
 * exited, and everything goes on.
 *
 * An **exec** is a further process in a running task, with a monitor of its own and the same stdio manners.
 */
export interface Runtime {
  /** The name that HostConfig.Runtime selects: `crun`, `runc`, `vm`. */
  readonly name: string;
  /** The OCI runtime that it runs: a path, or a name to be looked for in PATH. */
  readonly program: string;
  /**
   * The release of the kernel that its containers have of their own, which mounts their files itself: then `create` wants `guest`. Absent
   * from a runtime whose containers have the host's. `unavailable` where there is none.
   */
  guestKernel?(): string;
  create(options: CreateTaskOptions): Promise<Task>;
  /** The task of an earlier engine process, from what its monitor left in `directory`; undefined when there is none. */
  load(id: string, directory: string): Promise<Task | undefined>;
  /** Gives back what tasks have left that nobody knows any more; called once those that are known were loaded. */
  tidy?(): Promise<void>;
  /** Opens the files of a container that does not run and has a kernel of its own: a guest is started for the while. Dispose to end it. */
  openFiles?(options: OpenFilesOptions): Promise<OpenFiles>;
}

/** `spec` says what is mounted. */
export type OpenFilesOptions = Required<Pick<CreateTaskOptions, 'spec' | 'guest'>>;

export interface OpenFiles extends AsyncDisposable {
  readonly files: GuestFiles;
}

export interface CreateTaskOptions {
  /** 64 hexadecimal characters. */
  id: string;
  /** The OCI bundle's directory: it exists, and the runtime writes `config.json` there. */
  bundle: string;
  /** The container; its root filesystem is mounted, unless it has a kernel of its own. */
  spec: RuntimeSpec;
  guest?: GuestOptions;
  /** Where the monitor keeps its files (socket, pid, exit record); exists, on a tmpfs, short enough for a socket path (≤ 100 bytes). */
  directory: string;
  io: TaskIo;
  /** What `Task.checkpoint` wrote of an earlier run: this one goes on from there instead of from the program's beginning. */
  checkpoint?: string;
}

/** What only the container's own kernel can look into, named instead of mounted and looked up. */
export interface GuestOptions {
  /** Files with the layers' EROFS filesystems, base first. */
  layers: readonly string[];
  /** File with the ext4 filesystem of what the container writes. */
  top: string;
  user: GuestUser;
  /** Whether its first process sees every device that the guest has. */
  privileged: boolean;
  /** Sources of bind mounts that are small files of the engine's: the guest has copies, which `writeFile` renews. */
  files: readonly string[];
  /** A network that was laid to the guest; without it the guest takes what is in its network namespace. */
  network?: GuestNetwork;
}

/** A network as a guest has it. */
export interface GuestNetwork {
  interfaces: readonly GuestInterface[];
  routes: readonly GuestRoute[];
  /** Addresses, or networks with a prefix, that lead to another at which the guest finds what is outside, unless somebody in it has them. */
  standIns?: readonly (readonly [there: string, standIn: string])[];
}

/** A socket that waits for others, at one address or, by `0.0.0.0` or `::`, at all. */
export interface Listener {
  protocol: 'tcp' | 'udp';
  address: string;
  port: number;
}

export interface GuestInterface {
  name: string;
  mac: string;
  mtu: number;
  /** `172.17.0.2/16`. */
  addresses: readonly string[];
  /** The tap interface through which the guest has it. */
  tap: string;
}

export interface GuestRoute {
  /** `0.0.0.0/0`. */
  destination: string;
  /** Nothing for what is on the link itself. */
  gateway: string;
  link: string;
}

/** A user as clients name it (`name`, `1000:1000`) and further groups, for the guest to look up. */
export interface GuestUser {
  user: string;
  groups: readonly string[];
}

export interface TaskIo {
  terminal: boolean;
  /** Whether stdin is open. Without it the process reads end-of-file at once. */
  stdin: boolean;
  /** Close stdin when the first attached client that sent stdin goes away (Docker's StdinOnce). */
  stdinOnce?: boolean;
  /** Whom the stdio belongs to, so that the process can open it anew (/dev/stdout); root without it. */
  owner?: { uid: number; gid: number };
  log?: LogTarget;
  /** Initial terminal size. */
  size?: TerminalSize;
}

export interface TerminalSize {
  rows: number;
  columns: number;
}

/** What becomes of a task's output; its monitor does it, whether the engine lives or not. */
export interface LogTarget {
  file?: LogFile;
  syslog?: SyslogTarget;
  journal?: JournalTarget;
  /**
   * Bytes of output that may wait in memory for the log; what comes while so much waits is dropped, so that the process never waits.
   * Without it the process waits for a log that is slow, and output is only dropped while the other end is not there.
   */
  buffer?: number;
}

/** One `{"log","stream","time"}` object a line, as Docker's `json-file` has it. */
export interface LogFile {
  path: string;
  /** Bytes before the file is rotated away; never without it. */
  maxSize?: number;
  /** Files kept, the current one included; 1 without it. */
  maxFiles?: number;
  /** Those that were rotated away are compressed. */
  compress?: boolean;
  /** What log options add to each line (`attrs`): labels, environment, tag. */
  attributes?: Record<string, string>;
}

/** Syslog messages as Docker's driver sends them. */
export interface SyslogTarget {
  destination: SyslogDestination;
  /** 0 to 23. */
  facility: number;
  format: '' | 'rfc3164' | 'rfc5424' | 'rfc5424micro';
  tag: string;
}

export type SyslogDestination =
  | {
      /** `local` is a unix socket of either kind. */
      transport: 'udp' | 'tcp' | 'unix' | 'unixgram' | 'local';
      /** A path, or an IP address and port: `192.0.2.1:514`, `[2001:db8::1]:514`. */
      address: string;
    }
  | {
      transport: 'tls';
      host: string;
      port: string;
      /** PEM files: authorities, other than the host's; what shows the server who we are. */
      authorities?: string;
      certificate?: string;
      key?: string;
      /** Whether the server's certificate must be an authority's, and for this host. */
      verify: boolean;
    };

/** Records for systemd's journal, in its native protocol. */
export interface JournalTarget {
  socket: string;
  /** What every record has besides its message, priority, time and place in the order. */
  fields: Record<string, string>;
}

/**
 * The files of a container whose kernel is its own. Nobody else may look into a filesystem that its processes could have made, so the
 * guest does it. Names are byte strings (latin1), as tar entries have them.
 */
export interface GuestFiles {
  /** Entries depth first, a directory before what is in it, in byte order. A file's data is to be read before the next entry. */
  tree(path: string, options: TreeOptions): AsyncIterable<GuestEntry>;
  /**
   * Makes entries below a directory of the merged filesystem, replacing what is in the way; with `keepKind` a directory is not
   * replaced by anything else, nor anything else by a directory: that is `EEXIST`, and its message names the entry. With `upper` they are
   * made in the writable layer as it is on its disk, of which nobody makes use meanwhile.
   */
  plant(
    path: string,
    entries: AsyncIterable<GuestEntry>,
    options?: { keepKind?: boolean; upper?: boolean },
  ): Promise<void>;
  /** Resolves when all that was written is on the container's disk. */
  sync(): Promise<void>;
}

/** A process as its guest's kernel counts it. */
export interface GuestProcess {
  pid: number;
  ppid: number;
  uid: number;
  /** Seconds since the guest was booted when it started, and of the processor that it has used. */
  started: number;
  used: number;
  /** Seconds that the guest has been up. */
  uptime: number;
  /** Bytes. */
  virtual: number;
  resident: number;
  /** Numbers of its terminal, or 0. */
  terminal: number;
  state: string;
  name: string;
  /** Its command line, or nothing of a kernel thread or zombie. */
  command: string;
}

export interface TreeOptions {
  /** All that is below; else the entry alone. */
  whole: boolean;
  /** A link at the path's end is followed. */
  follow?: boolean;
  /** The writable layer as it is on its disk, whiteouts and all, instead of the merged filesystem. */
  upper?: boolean;
  /** Without what is mounted in the merged filesystem. */
  unmounted?: boolean;
  /** Without the files' data. */
  bare?: boolean;
}

export interface GuestEntry {
  /** Relative to the tree's root; `.` for itself. */
  name: string;
  /** With the file's kind. */
  mode: number;
  uid: number;
  gid: number;
  /** Bytes, for regular files. */
  size: number;
  mtime: number;
  mtimeNanoseconds: number;
  /** Of a device. */
  major: number;
  minor: number;
  /** Where a symbolic link leads. */
  link?: string;
  /** The first of the names that a file with several has. */
  hardLink?: string;
  xattrs?: Map<string, Buffer>;
  /** Exactly `size` bytes of a regular file that is no hard link. */
  data?: AsyncIterable<Buffer>;
}

/** Marks the directory of a checkpoint that is being made, or whose making was broken off. */
export const UNFINISHED_CHECKPOINT = 'hull-unfinished-checkpoint';

export interface Task {
  readonly id: string;
  /** Host pid of the container's first process; 0 before start. */
  readonly pid: number;
  /** Runs the process. A command that is missing or not executable is `invalid` with the runtime's words; then the task is over and `exited` resolves as well. */
  start(): Promise<void>;
  /** Connects to stdio. Any number may be attached; from now on each gets all output. May be called before `start`. */
  attach(want: { stdin: boolean; output: boolean }): Promise<Attachment>;
  exec(options: ExecOptions): Promise<ExecTask>;
  /** Sends a signal to the first process, or with `all` to every process of the container. `conflict` when it is not running. */
  kill(signal: number, all?: boolean): Promise<void>;
  resize(size: TerminalSize): Promise<void>;
  pause(): Promise<void>;
  resume(): Promise<void>;
  stats(): Promise<TaskStats>;
  /** Calls back when processes of it were killed for want of memory while it runs. Dispose to stop. */
  watchOomKills(listener: () => void): Disposable;
  /** Calls `listener` with all that wait for others at ports, first and when that has changed, where only the container's own kernel knows. */
  watchListeners?(listener: (listeners: Listener[]) => void): Disposable;
  /** Lets the guest find what is outside at addresses that it has itself, as GuestNetwork.standIns does from the start. */
  shareNetwork?(standIns: NonNullable<GuestNetwork['standIns']>): Promise<void>;
  /** Host pids of the container's processes. */
  pids(): Promise<number[]>;
  /** Applies changed limits: the `linux.resources` object of the runtime specification. */
  update(resources: RuntimeResources): Promise<void>;
  /**
   * Writes all that the processes are (memory, descriptors, threads) to a directory that exists and is empty, so that `create` can
   * go on from it. Afterwards they have ended, or with `leaveRunning` run on; they do so too when it fails. The other ends of
   * connections are not part of it, nor is the filesystem but of a container with a kernel of its own. While it is not whole there may
   * be a file UNFINISHED_CHECKPOINT in the directory.
   */
  checkpoint(directory: string, options: { leaveRunning: boolean }): Promise<void>;
  /** Only of a container whose kernel is its own, as is what follows. */
  readonly files?: GuestFiles;
  /** Its processes, which the host's kernel does not know. */
  processes?(): Promise<GuestProcess[]>;
  /** Renews a small file of the engine's that the guest has a copy of (`GuestOptions.files`). */
  writeFile?(source: string): Promise<void>;
  /** Resolves, once and for ever, when the first process has ended and its log is whole. Never rejects. */
  readonly exited: Promise<Exit>;
  remove(): Promise<void>;
}

export interface ExecOptions {
  /** 64 hexadecimal characters. */
  id: string;
  /** The `process` object of the runtime specification. */
  process: RuntimeProcess;
  io: TaskIo;
  /** Whom it runs as, where that is the container's own kernel's to find out. */
  user?: GuestUser;
}

/** An exec's process: started by `start`, over when `exited` resolves. */
export type ExecTask = Pick<Task, 'id' | 'pid' | 'start' | 'attach' | 'resize' | 'exited' | 'remove'>;

export interface Exit {
  /** 0 to 255; 128 + n for signal n. */
  code: number;
  /** When the process ended. */
  at: Date;
  oomKilled: boolean;
  /** Why the process never ran, in the runtime's words. */
  startError?: string;
  /** Why what the process ran in ended before it did: a kernel of its own that panicked, say. */
  breakdown?: string;
}

/** One client's hold on a task's stdio. Dispose to detach. */
export interface Attachment extends Disposable {
  /** Ends when the process's output is closed. With a terminal all is on stdout. Unread output stops the process after a bounded buffer. */
  readonly stdout: Readable;
  readonly stderr: Readable;
  /** End it to close the process's stdin (half-close). Undefined when stdin was not wanted or is not open. */
  readonly stdin: Writable | undefined;
}

/** Raw counters; names as cgroup v2 has them where both have them. All in bytes, nanoseconds or counts. */
export interface TaskStats {
  readAt: Date;
  cpu: {
    usageNs: number;
    userNs: number;
    systemNs: number;
    perCpuNs?: number[];
    periods: number;
    throttledPeriods: number;
    throttledNs: number;
  };
  memory: {
    usage: number;
    maxUsage?: number;
    limit?: number;
    failcnt?: number;
    stat: Record<string, number>;
  };
  pids: { current: number; limit?: number };
  blkio: { major: number; minor: number; op: string; bytes: number; operations: number }[];
  cgroupVersion: 1 | 2;
}
