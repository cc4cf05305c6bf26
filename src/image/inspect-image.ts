import { ZERO_TIME } from '#/base/time.ts';
import type { ImageInspect } from '#/wire/generated.ts';
import type { ImageRecords } from './image-records.ts';
import { repoNames } from './list-images.ts';

/** `GET /images/{name}/json`. `driver` is the snapshotter's name. */
export function inspectImage(
  records: ImageRecords,
  driver: string,
  name: string,
): ImageInspect & { Parent: string; DockerVersion: string } {
  const image = records.resolve(name);
  const { config } = image;
  return {
    Id: image.id,
    ...repoNames(records.references(image.id)),
    Parent: image.parent ?? '',
    Comment: config.history?.at(-1)?.comment ?? '',
    Created: config.created ?? ZERO_TIME,
    DockerVersion: config.docker_version ?? '',
    Author: config.author ?? '',
    Config: (config.config ?? {}) as NonNullable<ImageInspect['Config']>,
    Architecture: config.architecture,
    ...(config.variant === undefined ? {} : { Variant: config.variant }),
    Os: config.os,
    ...(config['os.version'] === undefined ? {} : { OsVersion: config['os.version'] }),
    Size: image.size,
    GraphDriver: { Name: driver, Data: {} },
    RootFS: { Type: 'layers', ...(image.layers.length === 0 ? {} : { Layers: image.layers }) },
    Metadata: { LastTagTime: image.lastTagged ?? ZERO_TIME },
  };
}
