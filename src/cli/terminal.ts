import { fstatSync, writeSync } from 'node:fs';
import { errnoCode } from '#/base/errors.ts';

/** The three descriptors a command talks to its caller through. */
export interface Terminal {
  out(text: string | Uint8Array): void;
  err(text: string | Uint8Array): void;
  isTerminal(fd: 0 | 1 | 2): boolean;
  /** Columns and rows of the terminal behind stdout; undefined when there is none. */
  size(): { columns: number; rows: number } | undefined;
  /** Standard input as a stream, opened at the first call. */
  stdin(): NodeJS.ReadStream;
  /** Lets the terminal behind stdin pass bytes as they are; resolves with the way back. */
  makeRaw(): Promise<() => void>;
}

/** The one thing about terminals that takes a kernel call: handed in by who constructs the program. */
export type MakeRaw = (fd: number) => Promise<() => void>;

/** How long to wait for a reader of a descriptor that someone else made non-blocking. */
const RETRY_MS = 2;

/** What a shell reports for a process that SIGPIPE ended (Node ignores the signal itself). */
const BROKEN_PIPE = 128 + 13;

/**
 * Writes at once and in order. `process.stdout` would cost milliseconds to load, buffers behind a pipe, and loses what
 * it holds when the process exits.
 */
export class ProcessTerminal implements Terminal {
  readonly #makeRaw: MakeRaw;

  constructor(makeRaw: MakeRaw) {
    this.#makeRaw = makeRaw;
  }

  out(text: string | Uint8Array): void {
    writeFully(1, text);
  }

  err(text: string | Uint8Array): void {
    writeFully(2, text);
  }

  isTerminal(fd: 0 | 1 | 2): boolean {
    // Only a character device can be a terminal; for the rest node:tty need not be loaded.
    try {
      if (!fstatSync(fd).isCharacterDevice()) return false;
    } catch {
      return false;
    }
    return process.getBuiltinModule('node:tty').isatty(fd);
  }

  size(): { columns: number; rows: number } | undefined {
    if (!this.isTerminal(1)) return undefined;
    // Asks the terminal itself: `columns` is only as new as the last SIGWINCH that was handled.
    const [columns, rows] = process.stdout.getWindowSize();
    return { columns, rows };
  }

  stdin(): NodeJS.ReadStream {
    return process.stdin;
  }

  async makeRaw(): Promise<() => void> {
    const restore = await this.#makeRaw(0);
    // However the process ends, the user's shell must have its terminal back.
    process.once('exit', restore);
    return () => {
      process.off('exit', restore);
      restore();
    };
  }
}

function writeFully(fd: number, text: string | Uint8Array): void {
  let rest = typeof text === 'string' ? Buffer.from(text) : text;
  while (rest.length > 0) {
    try {
      rest = rest.subarray(writeSync(fd, rest));
    } catch (error) {
      const code = errnoCode(error);
      if (code === 'EPIPE') process.exit(BROKEN_PIPE);
      if (code !== 'EAGAIN') throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, RETRY_MS);
    }
  }
}
