import { notFound } from '#/base/errors.ts';
import type { ImageConfig } from '#/oci/image-config.ts';
import { formatPlatform, type Platform, platformRank } from '#/oci/platform.ts';

/** A name may stand for an image of another machine kind than those that were asked for: `notFound` in Docker's words. */
export function refuseOtherPlatforms(
  reference: string,
  image: ImageConfig,
  wanted: readonly Platform[] = [],
): void {
  for (const platform of wanted) {
    if (platformRank(platform, image) !== undefined) continue;
    throw notFound(
      `image with reference ${reference} was found but does not provide the specified platform (${formatPlatform(platform)})`,
    );
  }
}
