import { notImplemented } from '#/base/errors.ts';
import { CAPABILITIES } from '#/oci/capabilities.ts';
import type { GuestNetwork, GuestOptions, Runtime } from '#/runtime/runtime.ts';
import type { ContainerContext } from '../context.ts';
import type { ContainerRecord } from '../record.ts';
import type { SpecHost } from './spec.ts';

/** How much a guest may write when nothing says how much: its disk takes only what is in it. */
export const GUEST_DISK_SIZE = 64 * 2 ** 30;

/** What a container's own kernel is told instead of what is mounted and looked up for others. */
export function guestOptions(
  context: ContainerContext,
  record: ContainerRecord,
  etcFiles: readonly string[],
  network?: GuestNetwork,
): GuestOptions {
  const { layers, disk } = context.snapshotter.mounts(record.id);
  const files = layers.map(({ file }) => file);
  if (disk === undefined || files.includes(undefined)) {
    throw notImplemented('microVMs need layers that are filesystems of their own: the storage driver erofs');
  }
  return {
    layers: files.filter((file) => file !== undefined),
    top: disk.file,
    user: { user: record.config.User ?? '', groups: record.hostConfig.GroupAdd ?? [] },
    privileged: record.hostConfig.Privileged ?? false,
    files: etcFiles,
    ...(network === undefined ? {} : { network }),
  };
}

/** The host as a container with its own kernel has it: everything is the guest's to give. */
export function guestHost({ host }: ContainerContext, runtime: Runtime): SpecHost {
  return {
    cgroupVersion: 2,
    architecture: host.architecture,
    kernel: runtime.guestKernel?.() ?? host.kernel,
    capabilities: CAPABILITIES,
    hardLimits: {},
    oomScoreAdj: 0,
    canLowerOomScore: true,
    ownKernel: true,
  };
}
