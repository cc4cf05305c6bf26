import { lstatSync, readlinkSync } from 'node:fs';
import path from 'node:path';
import { errnoCode, invalid } from '#/base/errors.ts';

// The kernel gives up at 40 links in one look-up (path_resolution(7)); so do we.
const MAX_LINKS = 40;

/**
 * Where `target` is when `root` is `/`: links are followed, absolute ones and `..` included, and never lead out of `root`.
 * What does not exist is taken as a plain name. The result starts with `root`. For trees that nobody is changing meanwhile.
 */
export function resolveInRoot(root: string, target: string): string {
  let pending = split(target);
  const done: string[] = [];
  let links = 0;
  while (pending.length > 0) {
    const [name = '', ...rest] = pending;
    pending = rest;
    if (name === '..') {
      done.pop();
      continue;
    }
    const link = readLink(path.join(root, ...done, name));
    if (link === undefined) {
      done.push(name);
      continue;
    }
    if (++links > MAX_LINKS) throw invalid(`too many levels of symbolic links in "${target}"`);
    if (link.startsWith('/')) done.length = 0;
    pending = [...split(link), ...rest];
  }
  return path.join(root, ...done);
}

function split(target: string): string[] {
  return target.split('/').filter((name) => name !== '' && name !== '.');
}

function readLink(file: string): string | undefined {
  try {
    return lstatSync(file).isSymbolicLink() ? readlinkSync(file) : undefined;
  } catch (error) {
    const code = errnoCode(error);
    if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'ENAMETOOLONG') return undefined;
    throw error;
  }
}
