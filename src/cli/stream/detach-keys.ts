/**
 * The keys that leave a container running and end the session: `ctrl-p,ctrl-q` unless the user chose others. Each is a
 * letter or `ctrl-` and one of a-z, @, [, \, ], ^, _.
 */
export function parseDetachKeys(text: string): Buffer {
  if (text === '') return Buffer.from([16, 17]);
  const codes: number[] = [];
  for (const key of text.split(',')) {
    const control = /^ctrl-(.)$/.exec(key)?.[1];
    const position = control === undefined ? -1 : '@abcdefghijklmnopqrstuvwxyz[\\]^_'.indexOf(control);
    if (position !== -1) codes.push(position);
    else if (key.length === 1) codes.push(key.charCodeAt(0));
    else throw new Error(`invalid detach keys (${text}): Unknown character: '${key}'`);
  }
  return Buffer.from(codes);
}

/** Watches typed bytes for the detach keys, holding back those that may turn out to be their beginning. */
export class DetachScanner {
  readonly #keys: Buffer;
  #matched = 0;

  constructor(keys: Buffer) {
    this.#keys = keys;
  }

  /** What to pass on, and whether the keys are now complete. */
  scan(typed: Buffer): { pass: Buffer; detached: boolean } {
    const pass: number[] = [];
    for (const byte of typed) {
      if (byte !== this.#keys[this.#matched]) {
        pass.push(...this.#keys.subarray(0, this.#matched));
        this.#matched = 0;
      }
      if (byte === this.#keys[this.#matched]) {
        this.#matched++;
        if (this.#matched === this.#keys.length) return { pass: Buffer.from(pass), detached: true };
      } else pass.push(byte);
    }
    return { pass: Buffer.from(pass), detached: false };
  }
}
