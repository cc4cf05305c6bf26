import { invalid } from '#/base/errors.ts';
import { textOf } from './tar-entry.ts';

/**
 * The components of a member's name under the root it is unpacked in, `.` and empty ones dropped and `..` applied to the
 * words alone, as Docker does before anything else (Go's filepath.Clean). A leading `/` is the root. Empty for the root.
 * Throws `invalid`, with `shown` in its
 * words, when the name leads out.
 */
export function memberPath(name: string, shown = name): string[] {
  const path: string[] = [];
  for (const component of name.split('/')) {
    if (component === '' || component === '.') continue;
    if (component !== '..') path.push(component);
    else if (path.length > 0) path.pop();
    else if (!name.startsWith('/')) throw invalid(`"${textOf(shown)}" is outside of the archive's root`);
  }
  return path;
}

/** OCI image specification, layer.md "Whiteouts". */
export const WHITEOUT_PREFIX = '.wh.';
export const OPAQUE_WHITEOUT = '.wh..wh..opq';
/** Names that aufs kept for itself. */
const AUFS_PREFIX = '.wh..wh.';

/** Whether Docker passes over the member when it unpacks a layer: aufs's own, at the root. */
export function isAufsMetadata(path: readonly string[]): boolean {
  return path[0]?.startsWith(AUFS_PREFIX) === true && path[0] !== OPAQUE_WHITEOUT;
}

/** What overlayfs reads as "nothing of the lower directories shows here". Kernel: Documentation/filesystems/overlayfs.rst. */
export const OPAQUE_XATTR = 'trusted.overlay.opaque';
