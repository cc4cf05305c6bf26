import { ioctl } from './libc.ts';

/** <asm-generic/ioctls.h> */
const TCGETS = 0x5401;
const TCSETSW = 0x5403;

/** The kernel's `struct termios`: four flag words of 32 bits, the line discipline, 19 control characters. */
const TERMIOS_SIZE = 36;

/** Bits that cfmakeraw(3) clears, in the order of the words: input, output, control, local. */
const CLEARED = [
  // IGNBRK BRKINT PARMRK ISTRIP INLCR IGNCR ICRNL IXON
  0o1 | 0o2 | 0o10 | 0o40 | 0o100 | 0o200 | 0o400 | 0o2000,
  // OPOST
  0o1,
  // CSIZE PARENB
  0o60 | 0o400,
  // ECHO ECHONL ICANON ISIG IEXTEN
  0o10 | 0o100 | 0o2 | 0o1 | 0o100000,
];

const CS8 = 0o60;
const VTIME = 17 + 5;
const VMIN = 17 + 6;

/**
 * Makes a terminal pass bytes both ways as they are, and returns the way back. Node's own raw mode leaves the translation of
 * newlines on for output: every line of a container's terminal would end in two carriage returns, and `\n` as "cursor down" be
 * broken. Throws a SystemError (`ENOTTY`) when `fd` is no terminal.
 */
export function makeTerminalRaw(fd: number): () => void {
  const before = Buffer.alloc(TERMIOS_SIZE);
  ioctl(fd, TCGETS, before, 'TCGETS');
  const raw = Buffer.from(before);
  for (const [word, bits] of CLEARED.entries()) {
    raw.writeUInt32LE((raw.readUInt32LE(word * 4) & ~bits) >>> 0, word * 4);
  }
  raw.writeUInt32LE((raw.readUInt32LE(8) | CS8) >>> 0, 8);
  raw[VMIN] = 1;
  raw[VTIME] = 0;
  ioctl(fd, TCSETSW, raw, 'TCSETSW');
  return () => {
    ioctl(fd, TCSETSW, before, 'TCSETSW');
  };
}
