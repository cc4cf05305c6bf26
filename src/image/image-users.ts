import type { Digest } from '#/oci/digest.ts';

/**
 * What the image room asks of those who run containers, without knowing them. All answers come from records, without
 * locks.
 */
export interface ImageUsers {
  /** The containers that were made from this image. */
  usersOf(image: Digest): readonly ImageUser[];
  /** The layers below every container that exists: an image can be removed by force under a stopped one. */
  layersInUse(): Iterable<Digest>;
}

export interface ImageUser {
  /** 64 hexadecimal characters. */
  id: string;
  running: boolean;
}
