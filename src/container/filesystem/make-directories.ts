import { lchownSync, mkdirSync } from 'node:fs';
import path from 'node:path';
import type { Owner } from '#/oci/id-mapping.ts';

/** Makes what is missing of a path; the new directories are `owner`'s, or the engine's without one. */
export function makeDirectories(target: string, owner: Owner | undefined): void {
  const topmost = mkdirSync(target, { recursive: true, mode: 0o755 });
  if (topmost === undefined || owner === undefined) return;
  for (let made = target; made.length >= topmost.length; made = path.dirname(made)) {
    lchownSync(made, owner.uid, owner.gid);
  }
}
