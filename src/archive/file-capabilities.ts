/** The extended attribute with a program's capabilities. */
export const CAPABILITY = 'security.capability';

/* linux/capability.h: `struct vfs_ns_cap_data`, 24 bytes, names the root it is for; `struct vfs_cap_data`, 20 bytes, none. */
const VFS_CAP_REVISION_2 = 0x02;
const VFS_CAP_REVISION_3 = 0x03;
const VFS_CAP_SIZE_2 = 20;
const VFS_CAP_SIZE_3 = 24;

/** A file's capabilities for the root of whoever unpacks it: a number from the user namespace here means nothing elsewhere. */
export function anyonesCapabilities(value: Buffer): Buffer {
  if (value[3] !== VFS_CAP_REVISION_3) return value;
  const kept = Buffer.from(value.subarray(0, VFS_CAP_SIZE_2));
  kept[3] = VFS_CAP_REVISION_2;
  return kept;
}

/** A file's capabilities for the user namespace whose root has this number outside: it heeds no others. */
export function capabilitiesFor(root: number, value: Buffer): Buffer {
  if (value[3] !== VFS_CAP_REVISION_2 || value.length !== VFS_CAP_SIZE_2) return value;
  const named = Buffer.alloc(VFS_CAP_SIZE_3);
  value.copy(named);
  named[3] = VFS_CAP_REVISION_3;
  named.writeUInt32LE(root, VFS_CAP_SIZE_2);
  return named;
}
