import { invalid } from '#/base/errors.ts';

/** The keys that let go of a terminal without ending it, as dockerd has them by default. */
export const DEFAULT_DETACH_KEYS = 'ctrl-p,ctrl-q';

/** The bytes of `ctrl-p,ctrl-q` or `a,b`: keys are single characters or ctrl- and one of a-z @ [ \ ] ^ _. */
export function parseDetachKeys(keys: string): Buffer {
  return Buffer.concat(
    keys.split(',').map((key) => {
      const control = /^ctrl-([a-z@[\\\]^_])$/.exec(key)?.[1];
      if (control !== undefined) {
        const code = control.toUpperCase().charCodeAt(0) - 64;
        return Buffer.from([code]);
      }
      if (Buffer.byteLength(key) !== 1) throw invalid(`Invalid detach keys (${keys}) provided`);
      return Buffer.from(key);
    }),
  );
}

/**
 * Watches a terminal's input for the detach keys. Bytes that may be the beginning of them are held back until it is
 * clear that they are not.
 */
export class DetachWatch {
  readonly #keys: Buffer;
  #matched = 0;

  constructor(keys: Buffer) {
    this.#keys = keys;
  }

  /** What of `input` goes on to the process, and whether the keys are complete; then the rest of the input is gone. */
  feed(input: Buffer): { output: Buffer; detached: boolean } {
    const output: number[] = [];
    for (const byte of input) {
      if (byte === this.#keys[this.#matched]) {
        this.#matched += 1;
        if (this.#matched === this.#keys.length) {
          this.#matched = 0;
          return { output: Buffer.from(output), detached: true };
        }
        continue;
      }
      output.push(...this.#keys.subarray(0, this.#matched));
      this.#matched = 0;
      if (byte === this.#keys[0]) this.#matched = 1;
      else output.push(byte);
    }
    return { output: Buffer.from(output), detached: false };
  }
}
