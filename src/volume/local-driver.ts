import { mkdir, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { newId } from '#/base/ids.ts';
import { notImplemented } from '#/base/errors.ts';
import type { VolumeDriver } from './driver.ts';

/** Volumes as plain directories `<root>/<name>/_data`, where Docker's users look for them. */
export class LocalVolumeDriver implements VolumeDriver {
  readonly name = 'local';
  readonly #root: string;

  constructor(root: string) {
    this.#root = root;
  }

  async create(name: string, options: Record<string, string>): Promise<void> {
    if (Object.keys(options).length > 0) {
      throw notImplemented(
        `the local volume driver's options (${Object.keys(options).join(', ')}) are not implemented: create the volume without them, or mount the source on the host and bind it`,
      );
    }
    await mkdir(this.path(name), { recursive: true, mode: 0o755 });
  }

  async remove(name: string): Promise<void> {
    // Out of sight in one step, so that a kill in between leaves no half-emptied volume under its name.
    const doomed = path.join(this.#root, `.removed-${newId()}`);
    await rename(path.join(this.#root, name), doomed).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error;
    });
    await rm(doomed, { recursive: true, force: true });
  }

  async mount(name: string): Promise<string> {
    return this.path(name);
  }

  async unmount(): Promise<void> {}

  path(name: string): string {
    return path.join(this.#root, name, '_data');
  }
}
