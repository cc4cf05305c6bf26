import { detectCompression } from '#/archive/compression.ts';

/** Bytes that `contentKind` wants to see: a tar's first block. */
export const SNIFFED = 512;

/** Tells a layer from a document by its first bytes, as file names in image archives do not. */
export function contentKind(head: Buffer): 'tar' | 'compressed' | 'other' {
  if (detectCompression(head) !== 'none') return 'compressed';
  return head.length >= SNIFFED && isTarBlock(head) ? 'tar' : 'other';
}

/** A header with a right checksum, or the zero block that an empty tar begins with. POSIX pax(1), "ustar Interchange Format". */
function isTarBlock(block: Buffer): boolean {
  let sum = 0;
  for (let i = 0; i < SNIFFED; i += 1) sum += i >= 148 && i < 156 ? 0x20 : (block[i] ?? 0);
  if (sum === 8 * 0x20) return true;
  const stated = /^[ 0]*([0-7]+)[ \0]*$/.exec(block.toString('latin1', 148, 156))?.[1];
  return stated !== undefined && Number.parseInt(stated, 8) === sum;
}
