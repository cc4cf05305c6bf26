import type { ImageConfig, ImageInspect, ImageSummary } from '#/wire/generated.ts';
import type { ApiVersion } from '../version.ts';

/** API 1.44 dropped VirtualSize, which had long been the same as Size; clients of before still read it. */
export function adaptImageSummary(image: ImageSummary, version: ApiVersion): object {
  return version.below('1.44') ? { ...image, VirtualSize: image.Size } : image;
}

/** What images had in their configuration because containers have it; empty in them, and gone since API 1.50. */
const OF_CONTAINERS: Partial<ImageConfig> & Record<string, unknown> = {
  Hostname: '',
  Domainname: '',
  AttachStdin: false,
  AttachStdout: false,
  AttachStderr: false,
  Tty: false,
  OpenStdin: false,
  StdinOnce: false,
  Image: '',
};

/**
 * The container that the image was made from: no image has had one for long, and API 1.45 dropped it. docker-compose 1 looks for
 * its volumes all the same when it makes a container anew, and asks in the newest version there is.
 */
const NO_CONTAINER = {
  ...OF_CONTAINERS,
  User: '',
  Env: null,
  Cmd: null,
  Volumes: null,
  WorkingDir: '',
  Entrypoint: null,
  OnBuild: null,
  Labels: null,
};

/** Always there before API 1.52, and since then only where they say something. */
const OMITTED_WHEN_EMPTY = ['Parent', 'Comment', 'DockerVersion', 'Author'];

export function adaptImageInspect(image: ImageInspect, version: ApiVersion, userAgent = ''): object {
  const ofContainer =
    version.below('1.45') || userAgent.startsWith('docker-compose/1.')
      ? { Container: '', ContainerConfig: NO_CONTAINER }
      : {};
  if (!version.below('1.52')) {
    const entries = Object.entries(image);
    const said = entries.filter(([key, value]) => value !== '' || !OMITTED_WHEN_EMPTY.includes(key));
    return { ...Object.fromEntries(said), ...ofContainer };
  }
  const { Config } = image;
  return {
    ...image,
    ...ofContainer,
    ...(version.below('1.50') ? { Config: { ...OF_CONTAINERS, ...Config } } : {}),
    ...(version.below('1.44') ? { VirtualSize: image.Size } : {}),
  };
}
