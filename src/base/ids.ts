import { randomBytes } from 'node:crypto';

/** A new container, exec, network or volume id: 64 hexadecimal characters, never all digits in its short form. */
export function newId(): string {
  for (;;) {
    const id = randomBytes(32).toString('hex');
    // The short form doubles as a default hostname, and a name of digits alone would be read as an address.
    if (!/^\d+$/.test(id.slice(0, 12))) return id;
  }
}

/** The 12 characters that tables show. */
export function shortId(id: string): string {
  return id.slice(0, 12);
}
