import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';

import { errnoCode, invalid, messageOf } from '#/base/errors.ts';
import type { Logger } from '#/base/log.ts';
import { readCgroupLayout, type CgroupLayout } from '#/host/cgroup-layout.ts';
import { Cgroup } from '#/host/cgroups.ts';
import { findExecutable, SealedExecutable } from '#/host/sealed-executable.ts';
import type { Trash } from '#/host/trash.ts';
import type { CreateTaskOptions, Runtime, Task } from '#/runtime/runtime.ts';

import { OciCommand } from './oci-command.ts';
import { CRIU_DIRECTORY, OciTask, TASK_FILE, type TaskFile } from './oci-task.ts';
import { probeRuntime, type ProbeResult } from './probe.ts';
import { SECCOMP_ANNOTATION, SeccompFilters } from './seccomp-filters.ts';
import { cgroupPathOf, forSystemd, isSystemdScope, SUBGROUP_ANNOTATION } from './systemd-scope.ts';

export interface OciRuntimeOptions {
  /** The name that HostConfig.Runtime selects. */
  name: string;
  /** `crun`, `runc` or a path: found as execvp(3) finds it, on first use; `notFound` then when there is none. */
  binary: string;
  /** The hull-monitor program. */
  monitor: string;
  /** Where the OCI runtime keeps its state; one engine's own, on a tmpfs. Made on first use. */
  root: string;
  logger: Logger;
  /** On the filesystem of `root` and of the tasks' directories. */
  trash: Trash;
  /** The host's cgroups; read anew without it. */
  layout?: CgroupLayout;
}

interface Program {
  executable: SealedExecutable;
  command: OciCommand;
  /** Undefined when the runtime takes no compiled filters. */
  filters: SeccompFilters | undefined;
  /** Whether it keeps a container in a group of its own inside the scope that systemd made. */
  subgroup: boolean;
}

/**
 * crun or runc behind hull-monitor. A specification must say where its cgroup is (`linux.cgroupsPath`): the task's
 * counters, freezer and removal are done there by our own hand.
 */
export class OciRuntime implements Runtime, Disposable {
  readonly name: string;
  readonly #options: OciRuntimeOptions;
  readonly #layout: CgroupLayout;
  #program: Program | undefined;

  constructor(options: OciRuntimeOptions) {
    this.name = options.name;
    this.#options = options;
    this.#layout = options.layout ?? readCgroupLayout();
  }

  get program(): string {
    return this.#options.binary;
  }

  [Symbol.dispose](): void {
    this.#program?.executable[Symbol.dispose]();
  }

  /** Whether it can run a container on this host, found out by running one, in a scope of systemd's if wanted. */
  async probe(systemd = false): Promise<ProbeResult> {
    try {
      return await probeRuntime(this.#open().command, this.#options.monitor, systemd);
    } catch (error) {
      return { works: false, reason: messageOf(error) };
    }
  }

  async create(options: CreateTaskOptions): Promise<Task> {
    const { id, bundle, spec, directory, io, checkpoint } = options;
    const { cgroupsPath } = spec.linux;
    if (cgroupsPath === undefined) throw invalid(`The specification of "${id}" does not name its cgroup`);
    const systemd = isSystemdScope(cgroupsPath);
    if ((spec.process.terminal ?? false) !== io.terminal) {
      throw invalid(`The specification of "${id}" and its task disagree about the terminal`);
    }
    const { command, filters, subgroup } = this.#open();
    const { prepared, learn } = filters?.prepare(spec) ?? {};
    const cgroup = cgroupPathOf(cgroupsPath, subgroup);
    const task = this.#task(id, directory, { stdin: io.stdin, cgroup, systemd }, learn);
    task.process.launch({
      monitor: this.#options.monitor,
      directory,
      io,
      runtime:
        checkpoint === undefined
          ? command.run(id, bundle, directory, { terminal: io.terminal, systemd })
          : command.restore(
              id,
              bundle,
              directory,
              { terminal: io.terminal, systemd },
              { images: checkpoint, work: path.join(directory, CRIU_DIRECTORY) },
            ),
    });
    // The monitor starts meanwhile.
    try {
      writeFileSync(
        path.join(bundle, 'config.json'),
        JSON.stringify(systemd ? forSystemd(prepared ?? spec) : (prepared ?? spec)),
        {
          mode: 0o600,
        },
      );
      task.writeTaskFile();
    } catch (error) {
      task.process.abandon();
      throw error;
    }
    return task;
  }

  async load(id: string, directory: string): Promise<Task | undefined> {
    let text: string;
    try {
      text = readFileSync(path.join(directory, TASK_FILE), 'utf8');
    } catch (error) {
      if (errnoCode(error) === 'ENOENT') return undefined;
      throw error;
    }
    const task = this.#task(id, directory, JSON.parse(text) as TaskFile);
    await task.process.reconnect();
    if (task.process.started) return task;
    // Its engine went away between create and start, and nothing of the user's has run.
    await task.remove();
    return undefined;
  }

  /** On first use: a runtime that is never asked for need not be installed, and takes no memory. */
  #open(): Program {
    if (this.#program !== undefined) return this.#program;
    const { binary, root } = this.#options;
    const file = findExecutable(binary);
    const executable = new SealedExecutable(file);
    const program = readFileSync(file);
    this.#program = {
      executable,
      command: new OciCommand(executable.path, root),
      filters: program.includes(SECCOMP_ANNOTATION)
        ? new SeccompFilters(path.join(root, '.hull-seccomp'))
        : undefined,
      subgroup: program.includes(SUBGROUP_ANNOTATION),
    };
    return this.#program;
  }

  #task(
    id: string,
    directory: string,
    { stdin, cgroup, systemd }: TaskFile,
    onStarted?: (stateDirectory: string) => void,
  ): OciTask {
    return new OciTask({
      id,
      directory,
      io: { stdin },
      cgroup: new Cgroup(this.#layout, cgroup),
      systemd,
      command: this.#open().command,
      monitor: this.#options.monitor,
      logger: this.#options.logger,
      trash: this.#options.trash,
      ...(onStarted === undefined ? {} : { onStarted }),
    });
  }
}
