import { lstat, readdir } from 'node:fs/promises';
import path from 'node:path';
import { errnoCode } from '#/base/errors.ts';

/** Bytes of all regular files below a directory, hard links counted once; 0 when it is not there. `counted` hears the sum so far. */
export async function diskUsage(directory: string, counted?: (bytes: number) => void): Promise<number> {
  const seen = new Set<string>();
  let total = 0;
  const pending = [directory];
  for (let current = pending.pop(); current !== undefined; current = pending.pop()) {
    const entries = await readdir(current, { withFileTypes: true }).catch(ignoreMissing);
    for (const entry of entries ?? []) {
      const file = path.join(current, entry.name);
      if (entry.isDirectory()) {
        pending.push(file);
        continue;
      }
      const stat = await lstat(file).catch(ignoreMissing);
      if (stat === undefined || !stat.isFile()) continue;
      if (stat.nlink > 1) {
        const key = `${stat.dev}:${stat.ino}`;
        if (seen.has(key)) continue;
        seen.add(key);
      }
      total += stat.size;
      counted?.(total);
    }
  }
  return total;
}

function ignoreMissing(error: unknown): undefined {
  if (errnoCode(error) === 'ENOENT') return undefined;
  throw error;
}
