import { closeSync, constants, lstatSync, openSync, readlinkSync } from 'node:fs';
import { errnoCode, invalid } from '#/base/errors.ts';
import { pathOf, textOf } from './tar-entry.ts';

/** Symlinks that one path may pass, as the kernel's MAXSYMLINKS. */
const MAX_SYMLINKS = 40;
const O_DIRECTORY = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;

export interface Ways {
  /** Makes the directory that is missing at this path. */
  create(path: Buffer): void;
  /** Whether what is at this path, which is no directory, counts as missing; `create` then replaces it. */
  isMissing(path: Buffer): boolean;
}

/**
 * Walks below a directory as a process would whose root it is: symlinks are followed within, `..` stops at the root. Each
 * step opens one name in a directory held open, by way of /proc/self/fd, without following: so nobody who changes the tree
 * meanwhile, as a running container can, leads a step outside.
 */
export class RootedDirectory implements Disposable {
  /** The root, and then each directory on the way to where the last walk ended. */
  readonly #open: number[];
  #lastPath: string | undefined = '';
  readonly #ways: Ways;

  constructor(root: string, ways: Ways) {
    this.#open = [openSync(root, constants.O_RDONLY | constants.O_DIRECTORY)];
    this.#ways = ways;
  }

  /** What was resolved last may no longer be so. */
  forget(): void {
    this.#lastPath = undefined;
  }

  /**
   * The directory of this path, open until the next walk. `undefined` when it is missing and not to be made. Throws `invalid`
   * when something on the way is no directory.
   */
  walk(path: readonly string[], create: boolean): number | undefined {
    const joined = path.join('/');
    if (joined === this.#lastPath) return this.#open.at(-1);
    this.#closeTo(1);
    this.#lastPath = undefined;
    const ahead = path.toReversed();
    let symlinks = 0;
    for (let name = ahead.pop(); name !== undefined; name = ahead.pop()) {
      if (name === '' || name === '.') continue;
      if (name === '..') {
        if (this.#open.length > 1) this.#closeTo(this.#open.length - 1);
        continue;
      }
      const target = this.#step(name, create);
      if (target === undefined) return undefined;
      if (target === null) continue;
      if (++symlinks > MAX_SYMLINKS) throw invalid(`"${textOf(joined)}": too many levels of symbolic links`);
      if (target.startsWith('/')) this.#closeTo(1);
      ahead.push(...target.split('/').toReversed());
    }
    this.#lastPath = joined;
    return this.#open.at(-1);
  }

  /** A name in an open directory, as a path for calls that do not follow its last component. */
  static at(directory: number, name: string): Buffer {
    return Buffer.concat([Buffer.from(`/proc/self/fd/${directory}/`), pathOf(name)]);
  }

  [Symbol.dispose](): void {
    this.#closeTo(0);
  }

  /** Enters a directory: `null`. Of a symlink its target; `undefined` for what is missing. */
  #step(name: string, create: boolean): string | null | undefined {
    const path = RootedDirectory.at(this.#open.at(-1) ?? -1, name);
    for (let attempt = 0; ; attempt++) {
      try {
        this.#open.push(openSync(path, O_DIRECTORY));
        return null;
      } catch (error) {
        const code = errnoCode(error);
        if (code === 'ENOENT' || (code === 'ENOTDIR' && this.#ways.isMissing(path))) {
          if (!create || attempt > 0) return undefined;
          this.#ways.create(path);
          continue;
        }
        // O_DIRECTORY with O_NOFOLLOW says ENOTDIR of a symlink, too.
        if (code !== 'ENOTDIR' && code !== 'ELOOP') throw error;
        if (!lstatSync(path).isSymbolicLink()) throw invalid(`"${textOf(name)}" is not a directory`);
        return readlinkSync(path, { encoding: 'latin1' });
      }
    }
  }

  #closeTo(length: number): void {
    for (const fd of this.#open.splice(length)) closeSync(fd);
  }
}
