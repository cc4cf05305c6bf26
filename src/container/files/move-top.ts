import { extractTar } from '#/archive/tree-extractor.ts';
import { upperToTar } from '#/archive/tree-to-tar.ts';
import { type IdMapping, ownerInside, ownerOutside } from '#/oci/id-mapping.ts';
import type { GuestFiles } from '#/runtime/runtime.ts';
import { guestEntries, guestTar } from './guest-tar.ts';

/**
 * Copies of what a container wrote, from the host's disk to a guest's and back, as overlayfs keeps it on both: whiteouts, opaque directories, hard
 * links, devices, owners, times and extended attributes. Sockets stay behind, as they do in archives. `mapping` is that of the user namespace to
 * which the host's copy belongs.
 */
export async function copyIntoGuest(
  upper: string,
  files: GuestFiles,
  mapping: IdMapping | undefined,
): Promise<void> {
  const tar = upperToTar(
    upper,
    mapping === undefined ? {} : { ownerOf: (owner) => ownerInside(mapping, owner) },
  );
  await files.plant('/', guestEntries(tar, { withRoot: true }), { upper: true });
  await files.sync();
}

/** See copyIntoGuest(). The directory is empty. */
export async function copyFromGuest(
  files: GuestFiles,
  upper: string,
  mapping: IdMapping | undefined,
): Promise<void> {
  const tar = guestTar(files.tree('/', { whole: true, upper: true }), { as: '.', isUpper: true });
  await extractTar(tar, upper, {
    withRoot: true,
    sparse: true,
    ...(mapping === undefined ? {} : { ownerOf: (owner) => ownerOutside(mapping, owner) }),
  });
}
