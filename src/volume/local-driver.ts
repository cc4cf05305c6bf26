import { lookup } from 'node:dns/promises';
import { mkdir, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { internal, messageOf } from '#/base/errors.ts';
import { newId } from '#/base/ids.ts';
import { KeyedLock } from '#/base/locks.ts';
import { mountFilesystem } from '#/host/mount-filesystem.ts';
import { listMounts, unmount } from '#/host/mounts.ts';
import type { DrivenVolume, VolumeDriver } from './driver.ts';
import { checkLocalOptions, localMount, needsMount, withoutPassword } from './local-options.ts';

/**
 * Volumes as plain directories `<root>/<name>/_data`, where Docker's users look for them. One with options has something mounted there from
 * its first holder to its last.
 */
export class LocalVolumeDriver implements VolumeDriver {
  readonly name = 'local';
  readonly #root: string;
  readonly #holders = new Map<string, Set<string>>();
  readonly #locks = new KeyedLock();

  constructor(root: string) {
    this.#root = root;
  }

  async create({ name, options }: DrivenVolume): Promise<void> {
    checkLocalOptions(name, options, { hasQuota: false });
    await mkdir(this.path(name), { recursive: true, mode: 0o755 });
  }

  async remove({ name }: DrivenVolume): Promise<void> {
    using _ = await this.#locks.acquire(name);
    // What is mounted there is not ours to delete.
    if (this.#isMounted(name)) unmount(this.path(name), { lazy: true });
    // Out of sight in one step, so that a kill in between leaves no half-emptied volume under its name.
    const doomed = path.join(this.#root, `.removed-${newId()}`);
    await rename(path.join(this.#root, name), doomed).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error;
    });
    await rm(doomed, { recursive: true, force: true });
  }

  async mount(volume: DrivenVolume, holder: string): Promise<string> {
    const { name, options } = volume;
    if (!needsMount(options)) return this.path(name);
    using _ = await this.#locks.acquire(name);
    if (!this.#isMounted(name)) await this.#mount(volume);
    this.#holdersOf(name).add(holder);
    return this.path(name);
  }

  async unmount({ name, options }: DrivenVolume, holder: string): Promise<void> {
    if (!needsMount(options)) return;
    using _ = await this.#locks.acquire(name);
    this.#holdersOf(name).delete(holder);
    // Lazily: a process of the host that looks into it must not keep a container from ending.
    if (this.#holdersOf(name).size === 0 && this.#isMounted(name)) unmount(this.path(name), { lazy: true });
  }

  adopt({ name }: DrivenVolume, holder: string): void {
    this.#holdersOf(name).add(holder);
  }

  path(name: string): string {
    return path.join(this.#root, name, '_data');
  }

  async #mount({ name, options }: DrivenVolume): Promise<void> {
    const target = this.path(name);
    try {
      const wanted = await localMount(options, async (server) => (await lookup(server)).address);
      try {
        await mountFilesystem(wanted.device, target, wanted.type, wanted.options);
      } catch (error) {
        const why = withoutPassword(messageOf(error), options);
        throw internal(`failed to mount local volume: ${why}`, { cause: error });
      }
    } catch (error) {
      throw internal(`error while mounting volume '${target}': ${messageOf(error)}`, { cause: error });
    }
  }

  #isMounted(name: string): boolean {
    const target = this.path(name);
    return listMounts().some((mount) => mount.target === target);
  }

  #holdersOf(name: string): Set<string> {
    let holders = this.#holders.get(name);
    if (holders === undefined) this.#holders.set(name, (holders = new Set()));
    return holders;
  }
}
