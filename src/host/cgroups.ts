import { readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { errnoCode, internal } from '#/base/errors.ts';
import { killPid } from '#/host/process.ts';

import type { CgroupLayout } from './cgroup-layout.ts';

const SIGKILL = 9;
const FREEZE_DEADLINE_MS = 10_000;
const REMOVE_DEADLINE_MS = 10_000;

/**
 * One cgroup: the same path in every hierarchy (v1) or in the one tree (v2). Nothing here creates it: the OCI runtime does.
 * Reads of a group that is gone give empty answers.
 */
export class Cgroup {
  /** Absolute below the hierarchies' roots: `/hull/<id>`. */
  readonly path: string;
  readonly #layout: CgroupLayout;

  constructor(layout: CgroupLayout, path: string) {
    if (!path.startsWith('/') || path === '/' || path.split('/').includes('..')) {
      throw internal(`"${path}" is no cgroup path`);
    }
    this.#layout = layout;
    this.path = path;
  }

  get version(): 1 | 2 {
    return this.#layout.version;
  }

  /** The group's directory where this controller is. */
  directory(controller: string): string | undefined {
    if (this.#layout.version === 2) return this.#unified;
    const hierarchy = this.#layout.v1.find(({ controllers }) => controllers.includes(controller));
    return hierarchy && path.join(hierarchy.mount, this.path);
  }

  /** A file's text, undefined when the group, the controller or the file is not there. */
  read(controller: string, file: string): string | undefined {
    const directory = this.directory(controller);
    return directory === undefined ? undefined : readText(path.join(directory, file));
  }

  write(controller: string, file: string, text: string): void {
    const directory = this.directory(controller);
    if (directory === undefined) throw internal(`This host has no cgroup controller "${controller}"`);
    writeFileSync(path.join(directory, file), text);
  }

  /** Host pids in the group and in groups below it. */
  pids(): number[] {
    const directory = this.#processes;
    return directory === undefined ? [] : [...new Set(tree(directory).flatMap(pidsOf))];
  }

  /** Signals every process of the group and of groups below it. */
  kill(signal: number): void {
    if (signal === SIGKILL && this.version === 2 && this.#unified !== undefined) {
      try {
        // One write, and no process can escape it by forking (Linux 5.14).
        writeFileSync(path.join(this.#unified, 'cgroup.kill'), '1');
        return;
      } catch (error) {
        if (errnoCode(error) !== 'ENOENT' && errnoCode(error) !== 'EACCES') throw error;
      }
    }
    for (const pid of this.pids()) killPid(pid, signal);
  }

  async freeze(): Promise<void> {
    const deadline = Date.now() + FREEZE_DEADLINE_MS;
    if (this.version === 1) {
      // A process that forks meanwhile can keep the group FREEZING: the kernel's documentation says to write again, and where
      // processes hold each other up (a fork whose parent is already frozen) only letting go for a moment helps.
      for (let tries = 1; Date.now() < deadline; tries++) {
        if (tries % 50 === 0) {
          this.thaw();
          await sleep(10);
        }
        this.write('freezer', 'freezer.state', 'FROZEN');
        if (this.isFrozen()) return;
        await sleep(1);
      }
      this.thaw();
    } else {
      this.write('', 'cgroup.freeze', '1');
      while (!this.isFrozen()) {
        if (Date.now() > deadline) {
          this.thaw();
          break;
        }
        await sleep(1);
      }
      if (this.isFrozen()) return;
    }
    throw internal(`The cgroup "${this.path}" did not freeze within ${FREEZE_DEADLINE_MS} ms`);
  }

  thaw(): void {
    if (this.version === 1) this.write('freezer', 'freezer.state', 'THAWED');
    else this.write('', 'cgroup.freeze', '0');
  }

  isFrozen(): boolean {
    return this.version === 1
      ? this.read('freezer', 'freezer.state')?.trim() === 'FROZEN'
      : /^frozen 1$/m.test(this.read('', 'cgroup.events') ?? '');
  }

  /** How many of its processes the kernel killed for want of memory. */
  oomKills(): number {
    const text =
      this.version === 1 ? this.read('memory', 'memory.oom_control') : this.read('memory', 'memory.events');
    return Number(/^oom_kill (\d+)$/m.exec(text ?? '')?.[1] ?? 0);
  }

  /** Kills what still runs in the group and removes it everywhere. No error when there is none. */
  async remove(): Promise<void> {
    // A group stays busy until its last process is reaped, and the kernel may take a moment longer.
    const deadline = Date.now() + REMOVE_DEADLINE_MS;
    let left = this.#everywhere();
    for (let pause = 1; ; pause = Math.min(pause * 2, 50)) {
      left = left.filter((directory) => !removeDirectory(directory));
      if (left.length === 0) return;
      if (Date.now() > deadline)
        throw internal(`Cannot remove the cgroup "${this.path}": it is still in use`);
      if (this.pids().length > 0) {
        if (this.version === 1 && this.isFrozen()) this.thaw();
        this.kill(SIGKILL);
      }
      await sleep(pause);
    }
  }

  /** Removes it where nothing is in it. */
  removeIfEmpty(): void {
    for (const directory of this.#everywhere()) removeDirectory(directory);
  }

  get #unified(): string | undefined {
    return this.#layout.unified === undefined ? undefined : path.join(this.#layout.unified, this.path);
  }

  /** The directory whose cgroup.procs has them all: every hierarchy does, some hosts lack some. */
  get #processes(): string | undefined {
    if (this.version === 2) return this.#unified;
    return this.directory('pids') ?? this.directory('memory') ?? this.directory('freezer');
  }

  #everywhere(): string[] {
    const directories = this.#layout.v1.map(({ mount }) => path.join(mount, this.path));
    return this.#unified === undefined ? directories : [...directories, this.#unified];
  }
}

function readText(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    const code = errnoCode(error);
    // ENODEV: the group was removed between open and read.
    if (code === 'ENOENT' || code === 'ENODEV' || code === 'EOPNOTSUPP') return undefined;
    throw error;
  }
}

/** A group's directory and those below it, the deepest last. */
function tree(directory: string): string[] {
  try {
    const below = readdirSync(directory, { withFileTypes: true }).filter((entry) => entry.isDirectory());
    return [directory, ...below.flatMap((entry) => tree(path.join(directory, entry.name)))];
  } catch (error) {
    if (errnoCode(error) === 'ENOENT') return [];
    throw error;
  }
}

function pidsOf(directory: string): number[] {
  return (readText(path.join(directory, 'cgroup.procs')) ?? '').split('\n').filter(Boolean).map(Number);
}

function removeDirectory(directory: string): boolean {
  try {
    rmdirSync(directory);
    return true;
  } catch (error) {
    const code = errnoCode(error);
    if (code === 'ENOENT') return true;
    if (code !== 'EBUSY' && code !== 'ENOTEMPTY') throw error;
  }
  // Groups that the container made inside its own.
  const below = tree(directory).slice(1).reverse();
  return below.length > 0 && below.every(removeDirectory) && removeDirectory(directory);
}
