import { invalid } from '#/base/errors.ts';
import type {
  ContainerSummary,
  ContainersDiskUsage,
  ImagesDiskUsage,
  ImageSummary,
  Volume,
  VolumesDiskUsage,
} from '#/wire/generated.ts';
import type { Engine } from './engine.ts';

const TYPES = ['container', 'image', 'volume', 'build-cache'];

/**
 * The answer of `GET /system/df`: the sums that API 1.52 has, and beside them the lists that clients of before add up
 * themselves. `types` chooses; none means all.
 */
export async function systemDiskUsage(engine: Engine, types: readonly string[]): Promise<object> {
  const unknown = types.find((type) => !TYPES.includes(type));
  if (unknown !== undefined) throw invalid(`unknown object type: ${unknown}`);
  const wanted = (type: string): boolean => types.length === 0 || types.includes(type);
  return {
    ...(wanted('image') ? await images(engine) : {}),
    ...(wanted('container') ? await containers(engine) : {}),
    ...(wanted('volume') ? await volumes(engine) : {}),
    ...(wanted('build-cache')
      ? {
          BuildCache: [],
          BuildCacheUsage: usage(
            [],
            () => 0,
            () => false,
          ),
        }
      : {}),
  };
}

async function images(engine: Engine): Promise<object> {
  const found = await engine.images.list({ all: true, filters: {}, sharedSize: true, containers: true });
  const LayersSize = engine.images.layersSize();
  const used = (image: ImageSummary): boolean => image.Containers > 0;
  const own = (image: ImageSummary): number => image.Size - Math.max(0, image.SharedSize);
  const kept = found.filter(used).reduce((sum, image) => sum + own(image), 0);
  const ImageUsage: ImagesDiskUsage = {
    ...usage(found, own, used),
    TotalSize: LayersSize,
    Reclaimable: Math.max(0, LayersSize - kept),
  };
  return { LayersSize, Images: found, ImageUsage };
}

async function containers(engine: Engine): Promise<object> {
  const found = await engine.queries.list({ all: true, size: true, filters: {} });
  const size = (container: ContainerSummary): number => container.SizeRw ?? 0;
  const runs = ({ State = '' }: ContainerSummary): boolean =>
    ['running', 'paused', 'restarting'].includes(State);
  const ContainerUsage: ContainersDiskUsage = usage(found, size, runs);
  return { Containers: found, ContainerUsage };
}

async function volumes(engine: Engine): Promise<object> {
  const found = await engine.volumes.usage();
  const size = (volume: Volume): number => Math.max(0, volume.UsageData?.Size ?? 0);
  const used = (volume: Volume): boolean => (volume.UsageData?.RefCount ?? 0) > 0;
  const VolumeUsage: VolumesDiskUsage = usage(found, size, used);
  return { Volumes: found, VolumeUsage };
}

function usage<T>(
  items: readonly T[],
  size: (item: T) => number,
  active: (item: T) => boolean,
): { ActiveCount: number; TotalCount: number; TotalSize: number; Reclaimable: number } {
  const sum = (some: readonly T[]): number => some.reduce((total, item) => total + size(item), 0);
  return {
    ActiveCount: items.filter(active).length,
    TotalCount: items.length,
    TotalSize: sum(items),
    Reclaimable: sum(items.filter((item) => !active(item))),
  };
}
