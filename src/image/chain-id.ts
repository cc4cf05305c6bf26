import { createHash } from 'node:crypto';
import { type Digest, digestFromHex } from '#/oci/digest.ts';

/** The chain id of every layer of a stack, base first: a layer together with all below it (OCI image-spec config.md). */
export function chainIds(diffIds: readonly Digest[]): Digest[] {
  const chain: Digest[] = [];
  for (const diffId of diffIds) {
    const below = chain.at(-1);
    chain.push(
      below === undefined
        ? diffId
        : digestFromHex(createHash('sha256').update(`${below} ${diffId}`).digest('hex')),
    );
  }
  return chain;
}
