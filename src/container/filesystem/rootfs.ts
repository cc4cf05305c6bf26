import { chownSync, existsSync, mkdirSync, renameSync, rmdirSync, rmSync, statSync } from 'node:fs';
import path from 'node:path';
import { errnoCode, internal, notImplemented } from '#/base/errors.ts';
import { diskUsage } from '#/host/disk-usage.ts';
import { listMounts, mountErofs, mountIdmapped, mountOverlay, unmount, unmountAside } from '#/host/mounts.ts';
import { type Digest, digestHex } from '#/oci/digest.ts';
import type { Owner } from '#/oci/id-mapping.ts';
import type { SnapshotMounts, Snapshotter } from '#/snapshot/snapshotter.ts';
import { makeInitLayer } from './init-layer.ts';
import { SnapshotDisks } from './snapshot-disks.ts';

/** What stat(2) counts blocks in. */
const STAT_BLOCK = 512;

/** Whose a root filesystem's files are shown to be: a mapping's key, and the file of a user namespace that has it. */
export interface MappedOwners {
  key: string;
  namespace: string;
  /** Whom its root is outside. */
  root: Owner;
}

/**
 * Mounts containers' root filesystems. A layer is mounted once, when the first container needs it, and shared by all; it
 * stays until its image goes; a second time beside it for each mapping of owners, since the image is the same file for all. Writable
 * tops have their owners as the kernel outside numbers them, so that what a container's root makes is not root's on the host's disk.
 * What is mounted is read from the kernel at the start, so a new engine process finds the mounts of the one before.
 */
export class RootFilesystems {
  readonly #snapshotter: Snapshotter;
  readonly #directory: string;
  readonly #layers: string;
  readonly #initLayers: string;
  readonly #mounted: Set<string>;
  readonly #disks = new SnapshotDisks();
  /** Root filesystems that are out of sight and not free yet. */
  readonly #leaving = new Map<string, Promise<void>>();

  /**
   * `directory` holds the merged root filesystems, one a container, and `initLayers` what lies lowest in them, one for each mapping of
   * owners; `layers` and `disks` are where the snapshotter has layers and limited snapshots mounted.
   */
  constructor(
    snapshotter: Snapshotter,
    {
      directory,
      initLayers,
      layers,
      disks,
    }: { directory: string; initLayers: string; layers: string; disks: string },
  ) {
    this.#snapshotter = snapshotter;
    this.#directory = directory;
    this.#layers = layers;
    this.#initLayers = initLayers;
    this.#mounted = new Set(listMounts().map((mount) => mount.target));
    for (const mounted of this.#mounted) {
      if (mounted.startsWith(`${disks}/`)) this.#adoptDisk(mounted);
    }
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
  async mount(
    id: string,
    { volatile = false, owners }: { volatile?: boolean; owners?: MappedOwners } = {},
  ): Promise<string> {
    const target = this.path(id);
    // Two overlays on one writable top would not know of each other's changes.
    await this.#leaving.get(target);
    if (this.#mounted.has(target)) return target;
    this.#makeDirectory(target, owners);
    this.#mountAt(target, id, { volatile, owners, lowest: [this.#initLayer(owners)] });
    this.#mounted.add(target);
    return target;
  }

  /** Images hold programs that are setuid root: no user of the host may walk in, but for whoever the container's root is outside. */
  #makeDirectory(target: string, owners: MappedOwners | undefined): void {
    mkdirSync(this.#directory, { recursive: true, mode: 0o711 });
    mkdirSync(path.dirname(target), { recursive: true, mode: 0o710 });
    if (owners !== undefined) chownSync(path.dirname(target), 0, owners.root.gid);
    mkdirSync(target, { recursive: true, mode: 0o711 });
  }

  /** Mounts a snapshot that nobody writes to at a directory, for the caller to unmount. */
  mountView(key: string, target: string, owners?: MappedOwners): void {
    this.#mountAt(target, key, { volatile: false, owners, lowest: [] });
  }

  /** Mounts the layers alone, to be looked into one by one. */
  mountLayers(id: string): void {
    this.#mountLayers(this.#snapshotter.mounts(id).layers);
  }

  unmount(id: string): void {
    const target = this.path(id);
    if (!this.#mounted.has(target)) return;
    const { disk } = this.#snapshotter.mounts(id);
    // Lazily: a process of the host that looks into it must not keep the container from ending.
    if (disk === undefined) this.#unmountAside(target);
    else unmount(target, { lazy: true });
    this.#mounted.delete(target);
    if (disk !== undefined) this.#disks.release(disk);
  }

  #unmountAside(target: string): void {
    const { promise, resolve } = Promise.withResolvers<void>();
    unmountAside(target, resolve);
    this.#leaving.set(target, promise);
    void promise.then(() => this.#leaving.delete(target));
  }

  /** Resolves when what was unmounted before is free. */
  async settled(): Promise<void> {
    await Promise.all(this.#leaving.values());
  }

  /** Bytes that the container wrote. Whether it runs or not, and whatever becomes of it meanwhile; `counted` hears the sum so far. */
  async writtenBytes(id: string, counted?: (bytes: number) => void): Promise<number> {
    const { disk, upper } = this.#snapshotter.mounts(id);
    if (disk?.guest === true) return Math.max(0, statSync(disk.file).blocks * STAT_BLOCK - disk.emptySize);
    if (upper === undefined) return 0;
    using _ = this.openTop(id);
    return await diskUsage(upper, counted);
  }

  /**
   * Makes what `SnapshotMounts.upper` names be there, whether the root filesystem is mounted or not, until the disposal. Not of a guest's.
   * A new one becomes `root`'s.
   */
  openTop(key: string, root?: Owner): Disposable {
    const { disk, upper } = this.#snapshotter.mounts(key);
    if (disk?.guest === true)
      throw internal(`The disk of "${key}" is written by another kernel, and not mounted`);
    if (disk !== undefined) this.#disks.hold(disk);
    if (upper !== undefined && root !== undefined) giveTop(upper, root);
    return {
      [Symbol.dispose]: () => {
        if (disk !== undefined) this.#disks.release(disk);
      },
    };
  }

  /** Takes a layer's mount away, so that its file can be deleted. */
  unmountLayer(diffId: Digest): void {
    const directory = this.#layerMount(diffId);
    const mounts = [...this.#mounted].filter(
      (each) => each === directory || each.startsWith(`${directory}.`),
    );
    for (const mount of mounts) {
      unmount(mount);
      this.#mounted.delete(mount);
      rmdirSync(mount);
    }
  }

  #layerMount(diffId: Digest): string {
    return path.join(this.#layers, digestHex(diffId));
  }

  /** For an engine that ends while no container runs: nothing of it stays mounted. */
  unmountAllLayers(): void {
    for (const { diffId } of this.#snapshotter.listLayers()) this.unmountLayer(diffId);
  }

  #mountAt(
    target: string,
    key: string,
    {
      volatile,
      owners,
      lowest,
    }: { volatile: boolean; owners: MappedOwners | undefined; lowest: readonly string[] },
  ): void {
    const { layers, upper, work } = this.#snapshotter.mounts(key);
    using undo = new DisposableStack();
    undo.use(this.openTop(key, owners?.root));
    this.#mountLayers(layers);
    const lower = layers.map(({ directory, diffId }) =>
      owners === undefined ? directory : this.#mapped(directory, diffId, owners),
    );
    mountOverlay({ lower: [...lower.reverse(), ...lowest], upper, work, target, volatile });
    undo.move();
  }

  #mountLayers(layers: SnapshotMounts['layers']): void {
    for (const layer of layers) {
      if (layer.file === undefined || this.#mounted.has(layer.directory)) continue;
      mkdirSync(layer.directory, { recursive: true, mode: 0o700 });
      mountErofs(layer.file, layer.directory);
      this.#mounted.add(layer.directory);
    }
  }

  /** Made when the first container needs it; whole under its name, or not there. */
  #initLayer(owners: MappedOwners | undefined): string {
    const layer = path.join(this.#initLayers, owners?.key ?? 'host');
    if (existsSync(layer)) return layer;
    const unfinished = `${layer}.${process.pid}`;
    rmSync(unfinished, { recursive: true, force: true });
    mkdirSync(unfinished, { recursive: true, mode: 0o755 });
    makeInitLayer(unfinished, owners?.root);
    renameSync(unfinished, layer);
    return layer;
  }

  #mapped(directory: string, diffId: Digest, { key, namespace }: MappedOwners): string {
    const target = `${this.#layerMount(diffId)}.${key}`;
    if (this.#mounted.has(target)) return target;
    mkdirSync(target, { recursive: true, mode: 0o700 });
    try {
      mountIdmapped(directory, target, namespace);
    } catch (error) {
      rmdirSync(target);
      if (errnoCode(error) !== 'EINVAL') throw error;
      throw notImplemented(
        `Cannot map the owners of layer "${diffId}": the filesystem it is on cannot, so there are no user namespaces here`,
        { cause: error },
      );
    }
    this.#mounted.add(target);
    return target;
  }

  /** An earlier engine's mount goes on with the container's root; one that was only looked into, or of what is deleted, is over. */
  #adoptDisk(directory: string): void {
    const key = path.basename(directory);
    this.#disks.adopt({ directory });
    if (!this.isMounted(key) || !this.#snapshotter.listSnapshots().includes(key)) {
      this.#disks.release({ directory });
    }
  }
}

/** A new writable top is the engine's, and to be the `/` of the container's root. */
function giveTop(upper: string, { uid, gid }: Owner): void {
  if (statSync(upper).uid === 0) chownSync(upper, uid, gid);
}
