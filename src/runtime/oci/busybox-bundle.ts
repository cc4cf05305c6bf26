import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { newId } from '#/base/ids.ts';
import { readCgroupLayout } from '#/host/cgroup-layout.ts';
import { Cgroup } from '#/host/cgroups.ts';
import { Logger } from '#/base/log.ts';
import { run } from '#/host/process.ts';
import { Trash } from '#/host/trash.ts';
import { DEFAULT_CAPABILITIES, processCapabilities } from '#/oci/capabilities.ts';
import { defaultSpec } from '#/oci/default-spec.ts';
import type { RuntimeSpec } from '#/oci/runtime-spec.ts';
import { defaultSeccomp } from '#/oci/seccomp.ts';
import type { Task, TaskIo } from '#/runtime/runtime.ts';

import { OciRuntime } from './oci-runtime.ts';

const MONITOR = path.join(import.meta.dirname, '../../../dist/hull-monitor');
const APPLETS = [
  'sh cat echo sleep true false ls stty head tail dd yes printf kill seq wc id tr test trap read mkdir touch mount nc unshare',
]
  .join(' ')
  .split(' ');

/** For the root tests of this room: busybox bundles in a temporary directory, run by crun or runc; disposes of all it made. */
export class BusyboxBundles implements AsyncDisposable {
  readonly directory = mkdtempSync(path.join(tmpdir(), 'hr-'));
  readonly runtime: OciRuntime;
  /** The parent of all tasks' groups. */
  readonly cgroup = `/hull-test-${path.basename(this.directory)}`;
  readonly monitor = MONITOR;
  readonly #trash = new Trash(path.join(this.directory, 'trash'));
  readonly #name: string;
  readonly #tasks: Task[] = [];
  readonly #runtimes: OciRuntime[] = [];

  static async create(name: 'crun' | 'runc'): Promise<BusyboxBundles> {
    const { code, stderr } = await run(path.join(import.meta.dirname, '../monitor/build.sh'), [], {
      timeoutMs: 60_000,
    });
    if (code !== 0) throw new Error(stderr.toString('utf8'));
    return new BusyboxBundles(name);
  }

  private constructor(name: 'crun' | 'runc') {
    this.#name = name;
    const rootfs = path.join(this.directory, 'rootfs');
    for (const each of ['bin', 'proc', 'dev', 'sys', 'tmp', 'etc'])
      mkdirSync(path.join(rootfs, each), { recursive: true });
    copyFileSync('/bin/busybox', path.join(rootfs, 'bin/busybox'));
    for (const applet of APPLETS) symlinkSync('busybox', path.join(rootfs, 'bin', applet));
    writeFileSync(path.join(rootfs, 'etc/passwd'), 'root:x:0:0::/:/bin/sh\n');
    this.runtime = this.newRuntime();
  }

  /** A second engine's view of the same containers. */
  newRuntime(): OciRuntime {
    const runtime = new OciRuntime({
      name: this.#name,
      binary: this.#name,
      monitor: MONITOR,
      root: path.join(this.directory, 'state'),
      logger: new Logger('error'),
      trash: this.#trash,
    });
    this.#runtimes.push(runtime);
    return runtime;
  }

  logFile(id: string): string {
    return path.join(this.directory, `${id.slice(0, 8)}.log`);
  }

  taskDirectory(id: string): string {
    return path.join(this.directory, id.slice(0, 8));
  }

  /** A task that runs these arguments; `change` has the last word on its specification. */
  async create(
    args: string[],
    io: Partial<TaskIo> = {},
    change: (spec: RuntimeSpec) => void = () => {},
  ): Promise<Task> {
    const id = newId();
    const bundle = path.join(this.directory, `${id.slice(0, 8)}.b`);
    mkdirSync(bundle);
    mkdirSync(this.taskDirectory(id), { mode: 0o700 });
    const spec = defaultSpec({ cgroupVersion: 1 });
    spec.process.args = args;
    spec.process.env = ['PATH=/bin'];
    spec.process.terminal = io.terminal ?? false;
    spec.process.capabilities = processCapabilities(DEFAULT_CAPABILITIES, 0);
    spec.root.path = path.join(this.directory, 'rootfs');
    spec.linux.cgroupsPath = path.join(this.cgroup, id);
    spec.linux.seccomp = defaultSeccomp({
      capabilities: DEFAULT_CAPABILITIES,
      architecture: process.arch,
      kernel: '6.1',
    });
    change(spec);
    const task = await this.runtime.create({
      id,
      bundle,
      spec,
      directory: this.taskDirectory(id),
      io: { terminal: false, stdin: false, log: { file: { path: this.logFile(id) } }, ...io },
    });
    this.#tasks.push(task);
    return task;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const task of this.#tasks) {
      await task.kill(9, true).catch(() => {});
      if (task.pid !== 0) await task.exited;
      await task.remove();
    }
    // Fails when a task's group is left in it.
    const parent = new Cgroup(readCgroupLayout(), this.cgroup);
    const groups = parent.directory('memory') ?? '';
    const left = existsSync(groups) ? readdirSync(groups, { withFileTypes: true }) : [];
    await parent.remove();
    for (const runtime of this.#runtimes) runtime[Symbol.dispose]();
    await this.#trash.settled();
    rmSync(this.directory, { recursive: true, force: true });
    const leaked = left.filter((entry) => entry.isDirectory()).map(({ name }) => name);
    if (leaked.length > 0) throw new Error(`Tasks left their cgroups behind: ${leaked.join(' ')}`);
  }
}
