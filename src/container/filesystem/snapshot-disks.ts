import { mkdirSync, rmdirSync } from 'node:fs';
import { mountExt4 } from '#/host/ext4.ts';
import { unmount } from '#/host/mounts.ts';
import type { SnapshotMounts } from '#/snapshot/snapshotter.ts';

type Disk = NonNullable<SnapshotMounts['disk']>;

/** Mounts the filesystems of limited snapshots, each from its first holder to its last. */
export class SnapshotDisks {
  readonly #holds = new Map<string, number>();

  hold({ file, directory }: Disk): void {
    const holds = this.#holds.get(directory) ?? 0;
    if (holds === 0) {
      mkdirSync(directory, { recursive: true, mode: 0o700 });
      mountExt4(file, directory);
    }
    this.#holds.set(directory, holds + 1);
  }

  /** Counts what is mounted already, by an engine process before this one. */
  adopt({ directory }: Pick<Disk, 'directory'>): void {
    this.#holds.set(directory, (this.#holds.get(directory) ?? 0) + 1);
  }

  release({ directory }: Pick<Disk, 'directory'>): void {
    const holds = (this.#holds.get(directory) ?? 1) - 1;
    if (holds > 0) {
      this.#holds.set(directory, holds);
      return;
    }
    this.#holds.delete(directory);
    // Lazily: an overlay that somebody still looks into keeps the filesystem, and mounting it again finds that very one.
    unmount(directory, { lazy: true });
    rmdirSync(directory);
  }
}
