import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Runtime } from '../runtime.ts';
import { removeShared } from './microvm-task.ts';

const SIGKILL = 9;
/** In the directory of a sandbox that no container's record tells of. */
const ID_FILE = 'id';

/** Leaves word of a sandbox that is only for a while, should this engine not live to end it. */
export function noteSandbox(directory: string, id: string): void {
  writeFileSync(path.join(directory, ID_FILE), id, { mode: 0o600 });
}

/** Ends the sandboxes that an earlier engine left, and gives back what they had; all in a directory but those that are known. */
export async function endStraySandboxes(
  directory: string,
  known: ReadonlySet<string>,
  sandboxes: Runtime,
): Promise<void> {
  for (const name of existsSync(directory) ? readdirSync(directory) : []) {
    const stray = path.join(directory, name);
    if (known.has(stray)) continue;
    const note = path.join(stray, ID_FILE);
    if (existsSync(note)) {
      const task = await sandboxes.load(readFileSync(note, 'utf8'), stray);
      await task?.kill(SIGKILL, true).catch(() => {});
      await task?.exited;
      await task?.remove();
    }
    removeShared(path.join(stray, 'vm'));
    removeShared(stray);
  }
}
