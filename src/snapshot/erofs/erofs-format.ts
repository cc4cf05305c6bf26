import { Buffer } from 'node:buffer';
import { crc32c } from './crc32c.ts';

/**
 * EROFS on disk, as the kernel's fs/erofs/erofs_fs.h and Documentation/filesystems/erofs.rst have it: 4 KiB blocks,
 * uncompressed, 64-byte ("extended") inodes. `meta_blkaddr` is 0, so an inode's number (nid) is its place in the file
 * divided by 32.
 */
export const EROFS_BLOCK = 4096;
export const INODE_SIZE = 64;
export const SLOT = 32;

const SUPER_OFFSET = 1024;
const SUPER_SIZE = 128;
const MAGIC = 0xe0f5e1e2;
const COMPAT_SB_CHKSUM = 0x1;
const COMPAT_MTIME = 0x2;
const INCOMPAT_CHUNKED_FILE = 0x4;

/** The superblock states the root's nid in 16 bits, so the root's inode stands right behind it. */
export const ROOT_NID = (SUPER_OFFSET + SUPER_SIZE) / SLOT;

/** Where an inode's data lies (i_format, bits 1-3). */
export const LAYOUT_PLAIN = 0;
export const LAYOUT_INLINE = 2;
export const LAYOUT_CHUNKS = 4;

/** A hole in a chunk's place. */
export const NULL_BLOCK = 0xffffffff;
/** Block addresses are 32 bits, and the last one means a hole. */
export const MAX_BLOCKS = 0xffffffff;

export const FileType = {
  file: 1,
  directory: 2,
  character: 3,
  block: 4,
  fifo: 5,
  symlink: 7,
} as const;

export const FORMAT_BITS = {
  file: 0o100000,
  directory: 0o040000,
  character: 0o020000,
  block: 0o060000,
  fifo: 0o010000,
  symlink: 0o120000,
} as const;

export interface Inode {
  layout: number;
  /** With the file's kind in the upper bits. */
  mode: number;
  uid: number;
  gid: number;
  size: number;
  mtime: number;
  mtimeNanoseconds: number;
  nlink: number;
  /** The first data block, a device's number, or the chunk format. */
  union: number;
  nid: number;
  /** Bytes of the xattr area behind the inode. */
  xattrSize: number;
}

export function writeInode(buffer: Buffer, at: number, inode: Inode): void {
  buffer.fill(0, at, at + INODE_SIZE);
  buffer.writeUInt16LE(1 | (inode.layout << 1), at);
  // i_xattr_icount: 0 without xattrs, else the area in words with its 12-byte header counted as one.
  buffer.writeUInt16LE(inode.xattrSize === 0 ? 0 : (inode.xattrSize - 12) / 4 + 1, at + 2);
  buffer.writeUInt16LE(inode.mode, at + 4);
  writeUInt64(buffer, inode.size, at + 8);
  buffer.writeUInt32LE(inode.union, at + 16);
  buffer.writeUInt32LE(inode.nid % 2 ** 32, at + 20);
  buffer.writeUInt32LE(inode.uid, at + 24);
  buffer.writeUInt32LE(inode.gid, at + 28);
  if (inode.mtime >= 0) writeUInt64(buffer, inode.mtime, at + 32);
  else buffer.writeBigInt64LE(BigInt(inode.mtime), at + 32);
  buffer.writeUInt32LE(inode.mtimeNanoseconds, at + 40);
  buffer.writeUInt32LE(inode.nlink, at + 44);
}

/** Where in an inode its count of links stands. */
export const NLINK_OFFSET = 44;

export function writeUInt64(buffer: Buffer, value: number, at: number): void {
  buffer.writeUInt32LE(value % 2 ** 32, at);
  buffer.writeUInt32LE(Math.floor(value / 2 ** 32), at + 4);
}

/** A device's number as the kernel's new_encode_dev() has it. */
export function encodeDevice(major: number, minor: number): number {
  return ((minor & 0xff) | (major << 8) | ((minor & ~0xff) << 12)) >>> 0;
}

export interface Superblock {
  inodes: number;
  blocks: number;
  usesChunks: boolean;
  /** 16 bytes. */
  uuid: Buffer;
}

/** Completes block 0, in which the root's inode stands already. */
export function sealSuperblock(block: Buffer, superblock: Superblock): void {
  const at = SUPER_OFFSET;
  block.writeUInt32LE(MAGIC, at);
  block.writeUInt32LE(COMPAT_SB_CHKSUM | COMPAT_MTIME, at + 8);
  block[at + 12] = 12;
  block.writeUInt16LE(ROOT_NID, at + 14);
  writeUInt64(block, superblock.inodes, at + 16);
  block.writeUInt32LE(superblock.blocks, at + 36);
  superblock.uuid.copy(block, at + 48);
  block.writeUInt32LE(superblock.usesChunks ? INCOMPAT_CHUNKED_FILE : 0, at + 80);
  // The sum covers the block from the superblock on, with its own field as 0, and is not inverted at the end.
  block.writeUInt32LE(crc32c(block.subarray(at, EROFS_BLOCK)), at + 4);
}
