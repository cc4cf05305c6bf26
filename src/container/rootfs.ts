import { mkdirSync, rmdirSync } from 'node:fs';
import path from 'node:path';
import { diskUsage } from '#/host/disk-usage.ts';
import { listMounts, mountErofs, mountOverlay, unmount } from '#/host/mounts.ts';
import { type Digest, digestHex } from '#/oci/digest.ts';
import type { Snapshotter } from '#/snapshot/snapshotter.ts';
import { SnapshotDisks } from './snapshot-disks.ts';

/**
 * Mounts containers' root filesystems. A layer is mounted once, when the first container needs it, and shared by all; it
 * stays until its image goes. What is mounted is read from the kernel at the start, so a new engine process finds the
 * mounts of the one before.
 */
export class RootFilesystems {
  readonly #snapshotter: Snapshotter;
  readonly #directory: string;
  readonly #layers: string;
  readonly #mounted: Set<string>;
  readonly #disks = new SnapshotDisks();

  /** `directory` holds the merged root filesystems, one a container; `layers` is where the snapshotter has layers mounted. */
  constructor(snapshotter: Snapshotter, { directory, layers }: { directory: string; layers: string }) {
    this.#snapshotter = snapshotter;
    this.#directory = directory;
    this.#layers = layers;
    this.#mounted = new Set(listMounts().map((mount) => mount.target));
    for (const key of snapshotter.listSnapshots()) this.#adoptDisk(key);
  }

  /** Where the container's root filesystem is while it is mounted. */
  path(id: string): string {
    return path.join(this.#directory, id, 'rootfs');
  }

  isMounted(id: string): boolean {
    return this.#mounted.has(this.path(id));
  }

  /**
   * Mounts it if it is not. Returns its path. With `volatile` nothing written there is ever synced, which is right for what is
   * thrown away afterwards: unmounting a common overlay waits until the whole filesystem below it is on disk.
   */
  mount(id: string, { volatile = false }: { volatile?: boolean } = {}): string {
    const target = this.path(id);
    if (this.#mounted.has(target)) return target;
    mkdirSync(target, { recursive: true, mode: 0o711 });
    this.#mountAt(target, id, volatile);
    this.#mounted.add(target);
    return target;
  }

  /** Mounts a snapshot that nobody writes to at a directory, for the caller to unmount. */
  mountView(key: string, target: string): void {
    this.#mountAt(target, key, false);
  }

  unmount(id: string): void {
    const target = this.path(id);
    if (!this.#mounted.has(target)) return;
    // Lazily: a process of the host that looks into it must not keep the container from ending.
    unmount(target, { lazy: true });
    this.#mounted.delete(target);
    const { disk } = this.#snapshotter.mounts(id);
    if (disk !== undefined) this.#disks.release(disk);
  }

  /** Bytes that the container wrote. Whether it runs or not, and whatever becomes of it meanwhile; `counted` hears the sum so far. */
  async writtenBytes(id: string, counted?: (bytes: number) => void): Promise<number> {
    const { disk, upper } = this.#snapshotter.mounts(id);
    if (upper === undefined) return 0;
    using stack = new DisposableStack();
    if (disk !== undefined) {
      this.#disks.hold(disk);
      stack.defer(() => this.#disks.release(disk));
    }
    return await diskUsage(upper, counted);
  }

  /** Takes a layer's mount away, so that its file can be deleted. */
  unmountLayer(diffId: Digest): void {
    const directory = path.join(this.#layers, digestHex(diffId));
    if (!this.#mounted.has(directory)) return;
    unmount(directory);
    this.#mounted.delete(directory);
    rmdirSync(directory);
  }

  /** For an engine that ends while no container runs: nothing of it stays mounted. */
  unmountAllLayers(): void {
    for (const { diffId } of this.#snapshotter.listLayers()) this.unmountLayer(diffId);
  }

  #mountAt(target: string, key: string, volatile: boolean): void {
    const { layers, disk, upper, work } = this.#snapshotter.mounts(key);
    for (const layer of layers) {
      if (layer.file === undefined || this.#mounted.has(layer.directory)) continue;
      mkdirSync(layer.directory, { recursive: true, mode: 0o700 });
      mountErofs(layer.file, layer.directory);
      this.#mounted.add(layer.directory);
    }
    using undo = new DisposableStack();
    if (disk !== undefined) {
      this.#disks.hold(disk);
      undo.defer(() => this.#disks.release(disk));
    }
    mountOverlay({ lower: layers.map((layer) => layer.directory).reverse(), upper, work, target, volatile });
    undo.move();
  }

  /** An earlier engine's mount goes on with the container's root; one that was only looked into is over. */
  #adoptDisk(key: string): void {
    const { disk } = this.#snapshotter.mounts(key);
    if (disk === undefined || !this.#mounted.has(disk.directory)) return;
    this.#disks.adopt(disk);
    if (!this.isMounted(key)) this.#disks.release(disk);
  }
}
