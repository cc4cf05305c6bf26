import path from 'node:path';
import { invalid, unavailable } from '#/base/errors.ts';
import type { Logger } from '#/base/log.ts';
import { knowsFilesystem, whyNoErofs } from '#/host/filesystem-support.ts';
import { chooseKind } from '#/snapshot/choose-kind.ts';
import { openSnapshotter } from '#/snapshot/open-snapshotter.ts';
import type { Snapshotter } from '#/snapshot/snapshotter.ts';

export interface StoragePlaces {
  /** The data root; its database exists. */
  root: string;
  /** Where layers, and the filesystems of limited snapshots, get mounted. */
  mountRoot: string;
  diskRoot: string;
  /** What `--storage-driver` says. */
  driver: string | undefined;
  logger: Logger;
}

/** Opens the store of layers and containers' filesystems, in the form that was asked for or that this host's kernel can mount. */
export function openStorage({ root, driver, logger, ...mounts }: StoragePlaces): Snapshotter {
  const wanted = storageKind(driver);
  if (!knowsFilesystem('overlay')) {
    throw unavailable(
      'Cannot mount containers: the kernel has no overlayfs, and "modprobe overlay" finds none',
    );
  }
  const { kind, reason } = chooseKind(root, wanted, () => whyNoErofs(path.join(root, 'hull.db')));
  if (reason !== undefined) {
    logger.warn('Layers are unpacked into directories, because they cannot be mounted as images', { reason });
  }
  return openSnapshotter(root, { kind, ...mounts });
}

function storageKind(driver: string | undefined): 'erofs' | 'overlay' | undefined {
  switch (driver) {
    case undefined:
    case '':
      return undefined;
    case 'erofs':
      return 'erofs';
    case 'overlay':
    case 'overlay2':
    case 'overlayfs':
      return 'overlay';
    default:
      throw invalid(`error initializing graphdriver: driver not supported: ${driver}`);
  }
}
