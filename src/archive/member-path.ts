import { invalid } from '#/base/errors.ts';
import { textOf } from './tar-entry.ts';

/**
 * The components of a member's name under the root it is unpacked in, `.` and empty ones dropped and `..` applied to the
 * words alone, as Docker does before anything else (Go's filepath.Clean). A leading `/` is the root. Empty for the root.
 * Throws `invalid` when the name leads out.
 */
export function memberPath(name: string): string[] {
  const path: string[] = [];
  for (const component of name.split('/')) {
    if (component === '' || component === '.') continue;
    if (component !== '..') path.push(component);
    else if (path.length > 0) path.pop();
    else if (!name.startsWith('/')) throw invalid(`"${textOf(name)}" is outside of the archive's root`);
  }
  return path;
}

/** OCI image specification, layer.md "Whiteouts". */
export const WHITEOUT_PREFIX = '.wh.';
export const OPAQUE_WHITEOUT = '.wh..wh..opq';
/** Names that aufs kept for itself; Docker passes over those in a layer's root. */
export const AUFS_PREFIX = '.wh..wh.';

/** What overlayfs reads as "nothing of the lower directories shows here". Kernel: Documentation/filesystems/overlayfs.rst. */
export const OPAQUE_XATTR = 'trusted.overlay.opaque';
