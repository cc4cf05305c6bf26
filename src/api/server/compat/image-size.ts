import type { ImageInspect, ImageSummary } from '#/wire/generated.ts';
import type { ApiVersion } from '../version.ts';

/** API 1.44 dropped VirtualSize, which had long been the same as Size; clients of before still read it. */
export function adaptImageSummary(image: ImageSummary, version: ApiVersion): object {
  return version.below('1.44') ? { ...image, VirtualSize: image.Size } : image;
}

export function adaptImageInspect(image: ImageInspect, version: ApiVersion): object {
  return version.below('1.44') ? { ...image, VirtualSize: image.Size } : image;
}
