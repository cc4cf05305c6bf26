import { invalid } from '#/base/errors.ts';
import { BLOCK, number } from './tar-header.ts';
import { decimal } from './pax.ts';
import type { SparseRange } from './tar-entry.ts';

/** The maps of GNU tar's sparse files; see the GNU tar manual, "Storing Sparse Files" and "Old GNU Format". */

/** Reads up to `count` entries of 24 bytes from an old GNU header (at 386) or its extension blocks (at 0). */
export function readOldGnuEntries(block: Buffer, at: number, count: number, into: SparseRange[]): void {
  for (let i = 0; i < count; i++) {
    const entry = at + i * 24;
    if (block[entry] === 0) return;
    into.push({
      offset: number(block, entry, 12, 'sparse offset'),
      length: number(block, entry + 12, 12, 'sparse length'),
    });
  }
}

/**
 * The map of format 1.0: decimal numbers, a line each, at the start of the member's data, padded to whole blocks. The first
 * is the count of ranges. Takes block after block until it is complete.
 */
export class SparseMapReader {
  readonly ranges: SparseRange[] = [];
  readonly #limit: number;
  #left: number | undefined;
  #digits = '';
  #offset: number | undefined;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Returns true when this block was the map's last. */
  push(block: Buffer, at: number): boolean {
    for (let i = at; i < at + BLOCK; i++) {
      if (this.#left === 0) return true;
      const byte = block[i] ?? 0;
      if (byte !== 0x0a) {
        this.#digits += String.fromCharCode(byte);
        if (this.#digits.length > 20) throw invalid('archive/tar: invalid tar header: malformed sparse map');
        continue;
      }
      this.#number(decimal('sparse map', this.#digits));
      this.#digits = '';
    }
    return this.#left === 0;
  }

  #number(value: number): void {
    if (this.#left === undefined) {
      if (value > this.#limit) throw invalid(`archive/tar: sparse file of more than ${this.#limit} ranges`);
      this.#left = value;
    } else if (this.#offset === undefined) {
      this.#offset = value;
    } else {
      this.ranges.push({ offset: this.#offset, length: value });
      this.#offset = undefined;
      this.#left--;
    }
  }
}

/** Throws `invalid` unless the ranges ascend, do not overlap, lie within the file and hold what the member stores. */
export function checkSparseMap(ranges: readonly SparseRange[], realSize: number, stored: number): void {
  let end = 0;
  let sum = 0;
  for (const { offset, length } of ranges) {
    if (offset < end || offset + length > realSize)
      throw invalid('archive/tar: invalid tar header: sparse map');
    end = offset + length;
    sum += length;
  }
  if (sum !== stored) throw invalid('archive/tar: invalid tar header: sparse map and size differ');
}
