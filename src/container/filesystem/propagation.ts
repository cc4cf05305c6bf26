import { realpathSync } from 'node:fs';
import { internal } from '#/base/errors.ts';
import { listMounts, type MountInfo } from '#/host/mounts.ts';
import type { MountPoint } from '../record.ts';

/**
 * Refuses a propagation that the mount below the source cannot have, in the words of moby's daemon/oci_linux.go. One that nobody asked for
 * (`followDataRoot`) is left out where it cannot be.
 */
export function checkedPropagation(mount: MountPoint, dataRoot: string): MountPoint {
  const { propagation, source } = mount;
  if (!/shared|slave/.test(propagation)) return mount;
  const refusal = propagationRefusal(propagation, source, realpathSync(source), listMounts());
  if (refusal === undefined) return mount;
  const isOurs = !mount.propagationChosen && (source.startsWith(dataRoot) || dataRoot.startsWith(source));
  if (isOurs && propagation === 'rslave') return { ...mount, propagation: 'rprivate' };
  throw internal(refusal);
}

/** Why a source cannot be mounted with this propagation; pure. `real` is the source without links. */
export function propagationRefusal(
  propagation: string,
  source: string,
  real: string,
  mounts: readonly MountInfo[],
): string | undefined {
  const below = mountBelow(real, mounts);
  const isShared = below?.propagation.includes('shared:') ?? false;
  const isSlave = below?.propagation.includes('master:') ?? false;
  const stands = `path ${source} is mounted on ${below?.target ?? '/'} but it is not`;
  if (propagation.includes('shared')) return isShared ? undefined : `${stands} a shared mount`;
  return isShared || isSlave ? undefined : `${stands} a shared or slave mount`;
}

/** The mount that a path is on; of several at one place the last one is what one sees. */
function mountBelow(real: string, mounts: readonly MountInfo[]): MountInfo | undefined {
  let found: MountInfo | undefined;
  for (const mount of mounts) {
    const isAbove = mount.target === '/' || real === mount.target || real.startsWith(`${mount.target}/`);
    if (isAbove && mount.target.length >= (found?.target.length ?? 0)) found = mount;
  }
  return found;
}
