import { accessSync, constants, readFileSync, writeSync } from 'node:fs';
import path from 'node:path';

import { notFound } from '#/base/errors.ts';

import { checked, libc, libcFunction } from './libc.ts';

const memfdCreate = libcFunction('memfd_create', 'int', ['str', 'uint']);
const fcntl = libcFunction('fcntl', 'int', ['int', 'int', 'long']);
const fchmod = libcFunction('fchmod', 'int', ['int', 'uint']);

const MFD_CLOEXEC = 1;
const MFD_ALLOW_SEALING = 2;
const F_ADD_SEALS = 1033;
/** F_SEAL_SEAL, SHRINK, GROW and WRITE. */
const ALL_SEALS = 0xf;

/**
 * A copy of a program in memory that nobody can change, and a path to execute it by while this process lives.
 *
 * crun and runc copy themselves into one at each start, so that a container cannot overwrite them through /proc/self/exe
 * (CVE-2019-5736), and execute themselves again; started from one they need not.
 */
export class SealedExecutable implements Disposable {
  readonly path: string;
  readonly #fd: number;

  constructor(program: string) {
    const name = path.basename(program);
    this.#fd = checked(memfdCreate(name, MFD_CLOEXEC | MFD_ALLOW_SEALING), 'memfd_create', program);
    try {
      const content = readFileSync(program);
      for (let at = 0; at < content.length;) at += writeSync(this.#fd, content, at);
      checked(fchmod(this.#fd, 0o755), 'fchmod', program);
      checked(fcntl(this.#fd, F_ADD_SEALS, ALL_SEALS), 'fcntl', program);
    } catch (error) {
      libc.close(this.#fd);
      throw error;
    }
    this.path = `/proc/${process.pid}/fd/${this.#fd}`;
  }

  [Symbol.dispose](): void {
    libc.close(this.#fd);
  }
}

/** The file that execvp(3) would execute; `notFound` when there is none. */
export function findExecutable(name: string, search: string = process.env['PATH'] ?? ''): string {
  const candidates = name.includes('/')
    ? [name]
    : search.split(':').map((directory) => path.join(directory || '.', name));
  for (const candidate of candidates) {
    try {
      accessSync(candidate, constants.X_OK);
      return path.resolve(candidate);
    } catch {
      continue;
    }
  }
  throw notFound(`No executable "${name}" in $PATH`);
}
