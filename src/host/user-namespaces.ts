import { rmSync } from 'node:fs';
import { internal } from '#/base/errors.ts';
import { unmount } from './mounts.ts';
import { run } from './process.ts';

const DEADLINE_MS = 10_000;

/** The kernel's maps: `ID-INSIDE ID-OUTSIDE LENGTH` a line (user_namespaces(7)). */
export interface IdMaps {
  uids: string;
  gids: string;
}

/**
 * Makes a user namespace, and with `network` a network namespace that it owns, with `lo` up, and keeps them at these paths, as
 * files that are made when they are missing. What a crash left there is let go. `program` is hull-namespaces.
 */
export async function makeUserNamespace(
  program: string,
  maps: IdMaps,
  { user, network }: { user: string; network?: string },
): Promise<void> {
  const kept = network === undefined ? [user] : [user, network];
  await keepNamespaces(program, ['make', maps.uids, maps.gids, ...kept], kept);
}

/** Makes a network namespace that belongs to a user namespace, given by its file. */
export async function makeNetnsIn(program: string, user: string, network: string): Promise<void> {
  await keepNamespaces(program, ['join', user, network], [network]);
}

async function keepNamespaces(program: string, args: string[], kept: readonly string[]): Promise<void> {
  for (const file of kept) unmount(file, { lazy: true });
  const { code, stderr } = await run(program, args, { timeoutMs: DEADLINE_MS });
  if (code === 0) return;
  for (const file of kept) removeNamespace(file);
  throw internal(`Cannot make a user namespace: ${stderr.toString('utf8').trim() || `code ${code}`}`);
}

/** Forgets a namespace; the kernel takes it away when its last process, mount or descriptor has gone. */
export function removeNamespace(file: string): void {
  unmount(file, { lazy: true });
  rmSync(file, { force: true });
}
