import type { Readable } from 'node:stream';
import type { Digest } from '#/oci/digest.ts';

/**
 * Keeps the filesystems of images and containers.
 *
 * Two kinds of thing live here. A **layer** is immutable and named by its *diff id*, the sha256 of its uncompressed tar;
 * it knows nothing of parents, so two images that share a layer share one file, whatever lies below it. A **snapshot** is a
 * *key* (a container's id), a stack of layers and, unless it is a view, a writable top.
 *
 * A layer's life: `writeLayer` streams a tar into it; it is visible, whole and durable when the promise resolves and not
 * before; `removeLayer` deletes it. A snapshot's life: `prepare` (or `view`), any number of `mounts`, `remove`. The
 * snapshotter states what must be mounted and never mounts, and never decides what may be removed: that is garbage
 * collection's business.
 *
 * After a crash at any instruction a layer or snapshot is there whole or not at all; `tidy` deletes the remains.
 */
export interface Snapshotter {
  /** `erofs` or `overlay`: what `docker info` shows as the storage driver. */
  readonly name: string;

  /**
   * Writes the layer of an uncompressed tar stream, which is hashed as it passes. With `expected`, a stream of another
   * digest is refused (`invalid`) and nothing stays. Bad tars (members outside the tree, truncated, over the limits) are
   * `invalid` and leave nothing. A layer that exists already is left as it is. Concurrent writes of one layer are safe.
   */
  writeLayer(tar: Readable, options?: WriteLayerOptions): Promise<LayerInfo>;

  /** The very bytes of the tar that the layer was written from. */
  readLayer(diffId: Digest): Readable;

  statLayer(diffId: Digest): LayerInfo | undefined;

  listLayers(): LayerInfo[];

  /**
   * The caller has unmounted it. It is gone when this returns, and its space is free when the promise resolves. No error when
   * there is none.
   */
  removeLayer(diffId: Digest): Promise<void>;

  /**
   * Makes a writable snapshot on these layers, base first. `conflict` when the key is taken, `notFound` for a missing layer. With `size`
   * not more than about so many bytes can be written in it. With `guest` its disk is for a kernel other than the host's.
   */
  prepare(
    key: string,
    layers: readonly Digest[],
    options?: { size?: number; guest?: boolean },
  ): Promise<void>;

  /** Makes a read-only snapshot. */
  view(key: string, layers: readonly Digest[]): Promise<void>;

  /** What to mount, in order, to have the snapshot. `notFound` without it. */
  mounts(key: string): SnapshotMounts;

  /**
   * The snapshot `by` becomes that of `key`, whose own, if it has one still, is deleted with what was written in it. The caller has
   * unmounted both. A crash in between leaves `by` alone: then this is to be called again.
   */
  replace(key: string, by: string): void;

  /** Deletes the snapshot and what was written in it. The caller has unmounted it. No error when there is none. */
  remove(key: string): Promise<void>;

  listSnapshots(): string[];

  /** Deletes what a crash left: half-written layers and snapshots. Called once, before anything else. */
  tidy(): Promise<void>;
}

export interface WriteLayerOptions {
  expected?: Digest;
  signal?: AbortSignal;
}

export interface LayerInfo {
  diffId: Digest;
  /** Sum of the regular files' sizes, in bytes: what Docker calls the layer's size. */
  size: number;
  /** Bytes that the layer takes in the store. */
  diskSize: number;
}

/** A snapshot as the kernel is to be asked for it. Paths are absolute. */
export interface SnapshotMounts {
  /** Layers, base first. `file` mounts read-only at `directory` as `type`; without `file` the directory is the layer itself. */
  layers: { diffId: Digest; directory: string; file?: string; type?: 'erofs' }[];
  /** A filesystem that is to be mounted read-write at `directory` first, for `upper` and `work` are in it: that of a limited snapshot. */
  disk?: {
    file: string;
    directory: string;
    type: 'ext4';
    /** Another kernel writes it: the host's is not to be trusted with what that may have made of it, and never mounts it. */
    guest: boolean;
    /** Bytes that the file took when nothing was in it. */
    emptySize: number;
  };
  /** The overlay's writable part; absent in a view. Both directories exist. */
  upper?: string;
  work?: string;
}
