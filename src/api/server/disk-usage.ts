import { invalid } from '#/base/errors.ts';
import type {
  BuildCacheDiskUsage,
  ContainersDiskUsage,
  ContainerSummary,
  ImagesDiskUsage,
  ImageSummary,
  Volume,
  VolumesDiskUsage,
} from '#/wire/generated.ts';
import type { Engine } from './engine.ts';

const TYPES = ['container', 'image', 'volume', 'build-cache'];

export interface DiskUsageOptions {
  /** Kinds of objects; none means all. */
  types: readonly string[];
  /** The sums that API 1.52 has. */
  sums: boolean;
  /** The lists beside them that clients of before add up themselves. */
  lists: boolean;
  /** The lists within the sums. */
  items: boolean;
}

interface Usage {
  ActiveCount: number;
  TotalCount: number;
  TotalSize: number;
  Reclaimable: number;
}

/** The answer of `GET /system/df`. */
export async function systemDiskUsage(engine: Engine, options: DiskUsageOptions): Promise<object> {
  const { types } = options;
  const unknown = types.find((type) => !TYPES.includes(type));
  if (unknown !== undefined) throw invalid(`unknown object type: ${unknown}`);
  const wanted = (type: string): boolean => types.length === 0 || types.includes(type);
  const parts = await Promise.all([
    wanted('image') ? images(engine, options) : undefined,
    wanted('container') ? containers(engine, options) : undefined,
    wanted('volume') ? volumes(engine, options) : undefined,
  ]);
  return Object.assign({}, ...parts, wanted('build-cache') ? buildCache(options) : {}) as object;
}

async function images(engine: Engine, options: DiskUsageOptions): Promise<object> {
  const found = await engine.images.list({ all: true, filters: {}, sharedSize: true, containers: true });
  const LayersSize = engine.images.layersSize();
  const used = (image: ImageSummary): boolean => image.Containers > 0;
  const own = (image: ImageSummary): number => image.Size - Math.max(0, image.SharedSize);
  const kept = found.filter(used).reduce((sum, image) => sum + own(image), 0);
  const ImageUsage: ImagesDiskUsage = {
    ...usage(found, own, used),
    TotalSize: LayersSize,
    Reclaimable: Math.max(0, LayersSize - kept),
    ...(options.items ? { Items: found } : {}),
  };
  return {
    ...(options.lists ? { LayersSize, Images: found } : {}),
    ...(options.sums ? { ImageUsage } : {}),
  };
}

async function containers(engine: Engine, options: DiskUsageOptions): Promise<object> {
  const found = await engine.queries.list({ all: true, size: true, filters: {} });
  const size = (container: ContainerSummary): number => container.SizeRw ?? 0;
  const runs = ({ State = '' }: ContainerSummary): boolean =>
    ['running', 'paused', 'restarting'].includes(State);
  const ContainerUsage: ContainersDiskUsage = {
    ...usage(found, size, runs),
    ...(options.items ? { Items: found } : {}),
  };
  return { ...(options.lists ? { Containers: found } : {}), ...(options.sums ? { ContainerUsage } : {}) };
}

async function volumes(engine: Engine, options: DiskUsageOptions): Promise<object> {
  const found = await engine.volumes.usage();
  const size = (volume: Volume): number => Math.max(0, volume.UsageData?.Size ?? 0);
  const used = (volume: Volume): boolean => (volume.UsageData?.RefCount ?? 0) > 0;
  const VolumeUsage: VolumesDiskUsage = {
    ...usage(found, size, used),
    ...(options.items ? { Items: found } : {}),
  };
  return { ...(options.lists ? { Volumes: found } : {}), ...(options.sums ? { VolumeUsage } : {}) };
}

/** There is none yet. */
function buildCache(options: DiskUsageOptions): object {
  const none: Usage = { ActiveCount: 0, TotalCount: 0, TotalSize: 0, Reclaimable: 0 };
  const BuildCacheUsage: BuildCacheDiskUsage = { ...none, ...(options.items ? { Items: [] } : {}) };
  return { ...(options.lists ? { BuildCache: [] } : {}), ...(options.sums ? { BuildCacheUsage } : {}) };
}

function usage<T>(items: readonly T[], size: (item: T) => number, active: (item: T) => boolean): Usage {
  const sum = (some: readonly T[]): number => some.reduce((total, item) => total + size(item), 0);
  return {
    ActiveCount: items.filter(active).length,
    TotalCount: items.length,
    TotalSize: sum(items),
    Reclaimable: sum(items.filter((item) => !active(item))),
  };
}
