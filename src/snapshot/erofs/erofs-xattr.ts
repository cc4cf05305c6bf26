import { invalid } from '#/base/errors.ts';

/** erofs_xattr_prefix: an attribute's name is stored as the number of its prefix and the rest. */
const PREFIXES: readonly [index: number, prefix: string, whole: boolean][] = [
  [2, 'system.posix_acl_access', true],
  [3, 'system.posix_acl_default', true],
  [1, 'user.', false],
  [4, 'trusted.', false],
  [6, 'security.', false],
];

const HEADER = 12;
const ENTRY = 4;

/**
 * The area of xattrs that stands behind an inode: a header of 12 bytes, then entries padded to 4. Attributes of other
 * namespaces than Linux filesystems keep are left out, as unpacking to a filesystem would. Empty without any.
 */
export function encodeXattrs(xattrs: ReadonlyMap<string, Buffer>): Buffer {
  const parts: Buffer[] = [Buffer.alloc(HEADER)];
  for (const [key, value] of xattrs) {
    const entry = encodeXattr(key, value);
    if (entry !== undefined) parts.push(entry);
  }
  return parts.length === 1 ? Buffer.alloc(0) : Buffer.concat(parts);
}

function encodeXattr(key: string, value: Buffer): Buffer | undefined {
  for (const [index, prefix, whole] of PREFIXES) {
    if (whole ? key !== prefix : !key.startsWith(prefix)) continue;
    const name = Buffer.from(key.slice(prefix.length), 'latin1');
    if (!whole && name.length === 0) return undefined;
    if (name.length > 255 || value.length > 0xffff) throw invalid(`the xattr "${key}" is too long`);
    const entry = Buffer.alloc(Math.ceil((ENTRY + name.length + value.length) / 4) * 4);
    entry[0] = name.length;
    entry[1] = index;
    entry.writeUInt16LE(value.length, 2);
    name.copy(entry, ENTRY);
    value.copy(entry, ENTRY + name.length);
    return entry;
  }
  return undefined;
}
