const MIB = 1 << 20;
/** What the kernel and its agent take of a guest's memory before a container has any. */
const GUEST_OVERHEAD = 96 * MIB;
/** QEMU itself, with the code it translates, and hull-vm. */
const HOST_OVERHEAD = 192 * MIB;
const SMALLEST = 256 * MIB;

/**
 * How much memory a guest has so that its container may use `limit` bytes, or `unlimited` where there is no limit. Few sizes, since
 * each needs a saved guest of its own: powers of two from 256 MiB.
 */
export function guestMemory(limit: number | undefined, unlimited: number): number {
  if (limit === undefined || limit <= 0) return unlimited;
  let size = SMALLEST;
  while (size < limit + GUEST_OVERHEAD) size *= 2;
  return size;
}

/** What the guest and its host side may take of the host together; nothing without a limit. */
export function sandboxMemory(limit: number | undefined): number | undefined {
  return limit === undefined || limit <= 0 ? undefined : limit + GUEST_OVERHEAD + HOST_OVERHEAD;
}

/** What a VM may take of the host whose container has no limit: all its guest has, and QEMU no more than it needs. */
export function wholeSandboxMemory(guest: number): number {
  return guest + HOST_OVERHEAD;
}
