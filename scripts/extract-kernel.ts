/**
 * Takes the uncompressed kernel out of a bzImage, so that no guest spends its start on uncompressing it.
 *
 *     scripts/node scripts/extract-kernel.ts VMLINUZ VMLINUX
 *
 * Format: the Linux/x86 boot protocol (Documentation/arch/x86/boot.rst), fields setup_sects, payload_offset, payload_length.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';

const MAGIC = { setup: 'HdrS', elf: '7f454c46' };
/** How a payload begins, and the program that uncompresses it. */
const COMPRESSIONS: Record<string, readonly string[]> = {
  '1f8b': ['gzip', '-dc'],
  fd377a58: ['xz', '-dc'],
  '28b52ffd': ['zstd', '-dc'],
  '02214c18': ['lz4', '-dc'],
  '425a68': ['bzip2', '-dc'],
};

const [from, to] = process.argv.slice(2);
if (from === undefined || to === undefined) throw new Error('usage: extract-kernel.ts VMLINUZ VMLINUX');
const image = readFileSync(from);
if (image.toString('latin1', 0x202, 0x206) !== MAGIC.setup) throw new Error(`"${from}" is not a bzImage`);
const setupSectors = image.readUInt8(0x1f1) || 4;
const start = (setupSectors + 1) * 512 + image.readUInt32LE(0x248);
const payload = image.subarray(start, start + image.readUInt32LE(0x24c));
const beginning = payload.toString('hex', 0, 8);
const [, command] = Object.entries(COMPRESSIONS).find(([magic]) => beginning.startsWith(magic)) ?? [];
if (command === undefined) throw new Error(`"${from}" is compressed in an unknown way: ${beginning}`);
const [program = '', ...args] = command;
const { stdout, stderr, error } = spawnSync(program, args, {
  input: payload,
  maxBuffer: 1 << 30,
  timeout: 60_000,
});
if (error !== undefined) throw new Error(`Cannot run "${program}"`, { cause: error });
// The last four bytes of the payload are its size, which decompressors take for the beginning of something: they say so and go on.
if (stdout.toString('hex', 0, 4) !== MAGIC.elf) throw new Error(`No kernel came out: ${stderr.toString()}`);
writeFileSync(to, stdout);
