import { createWriteStream, existsSync, renameSync, rmSync, statSync } from 'node:fs';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { messageOf } from '#/base/errors.ts';

/** Refuses, before anything is fetched, a file that could not be written. */
export function checkOutputFile(file: string): void {
  const directory = path.dirname(file);
  if (!existsSync(directory))
    throw new Error(`invalid output path: stat ${directory}: no such file or directory`);
  const existing = statSync(file, { throwIfNoEntry: false });
  if (existing?.isDirectory()) throw new Error(`cannot write to a directory`);
}

/** Writes a stream into a file that shows up only when it is whole. */
export async function writeOutputFile(file: string, body: AsyncIterable<Buffer>): Promise<void> {
  // A device is written to as it is: nothing may be renamed over it.
  const existing = statSync(file, { throwIfNoEntry: false });
  if (existing && !existing.isFile()) {
    await pipeline(body, createWriteStream(file));
    return;
  }
  const partial = path.join(path.dirname(file), `.${path.basename(file)}.${process.pid}.partial`);
  try {
    await pipeline(body, createWriteStream(partial, { mode: 0o600 }));
    renameSync(partial, file);
  } catch (error) {
    rmSync(partial, { force: true });
    throw new Error(`Cannot write "${file}": ${messageOf(error)}`, { cause: error });
  }
}
