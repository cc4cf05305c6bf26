import { invalid } from '#/base/errors.ts';

/** `sha256:` and 64 lower-case hexadecimal characters, as the OCI image specification's descriptor.md has it. */
export type Digest = `sha256:${string}`;

const PATTERN = /^sha256:[0-9a-f]{64}$/;

export function isDigest(text: string): text is Digest {
  return PATTERN.test(text);
}

/** Throws `invalid` for anything but a sha256 digest. */
export function parseDigest(text: string): Digest {
  if (!isDigest(text)) throw invalid(`invalid digest "${text}": want sha256 and 64 hexadecimal characters`);
  return text;
}

/** The part after the algorithm: what files are named by. */
export function digestHex(digest: Digest): string {
  return digest.slice('sha256:'.length);
}

export function digestFromHex(hex: string): Digest {
  return parseDigest(`sha256:${hex}`);
}
