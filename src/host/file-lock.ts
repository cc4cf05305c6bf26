import { closeSync, openSync } from 'node:fs';
import { conflict, errnoCode } from '#/base/errors.ts';
import { checked, libcFunction } from './libc.ts';

/** flock(2) */
const LOCK_EX = 2;
const LOCK_NB = 4;

const flock = libcFunction('flock', 'int', ['int', 'int']);

/**
 * Takes the file's lock for this process, made if need be; disposing gives it back, and so does the process's end, however it
 * comes. `conflict` when another process holds it.
 */
export function lockFile(file: string): Disposable {
  const fd = openSync(file, 'a', 0o600);
  try {
    checked(flock(fd, LOCK_EX | LOCK_NB), 'flock', file);
  } catch (error) {
    closeSync(fd);
    if (errnoCode(error) !== 'EAGAIN') throw error;
    throw conflict(`Another process holds "${file}"`, { cause: error });
  }
  return { [Symbol.dispose]: () => closeSync(fd) };
}
