import { familiarReference, parseReference, repositoryName, withDefaultTag } from '#/oci/reference.ts';

export interface ImageName {
  /** `docker.io/library/busybox` */
  repository: string;
  /** `docker.io` */
  registry: string;
  tag?: string | undefined;
  digest?: string | undefined;
  /** `busybox:latest`, as people know it. */
  familiar: string;
}

/** An image as an argument names it, `latest` where it names no version. An id is its own name. */
export function parseImageName(text: string): ImageName {
  if (/^(?:sha256:)?[a-f0-9]{64}$/.test(text)) return { repository: text, registry: '', familiar: text };
  const reference = withDefaultTag(parseReference(text));
  return {
    repository: repositoryName(reference),
    registry: reference.domain,
    tag: reference.tag,
    digest: reference.digest,
    familiar: familiarReference(reference),
  };
}
