import { erofsLayers } from './erofs/erofs-layers.ts';
import { LayeredSnapshotter, type SnapshotterPlaces } from './layered-snapshotter.ts';
import { directoryLayers } from './overlay/directory-layers.ts';
import type { Snapshotter } from './snapshotter.ts';

export interface OpenSnapshotterOptions extends Omit<SnapshotterPlaces, 'root'> {
  /** `erofs` where the kernel mounts EROFS, `overlay` elsewhere. */
  kind: 'erofs' | 'overlay';
}

/** Opens the snapshotter that keeps its layers and snapshots under `root`, and makes what is missing there. */
export function openSnapshotter(root: string, { kind, ...options }: OpenSnapshotterOptions): Snapshotter {
  return new LayeredSnapshotter(kind === 'erofs' ? erofsLayers : directoryLayers, { ...options, root });
}
