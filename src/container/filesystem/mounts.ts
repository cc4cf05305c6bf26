import path from 'node:path';
import { type EngineError, invalid } from '#/base/errors.ts';
import type { ContainerConfig, HostConfig } from '#/wire/generated.ts';
import { parseBind } from './bind-spec.ts';
import { blankMount, cleanPath, parseMount, requireAbsolute } from './mount-spec.ts';
import type { MountPoint } from '../record.ts';

/**
 * What a request wants mounted, from its three spellings (`Binds`, `Mounts`, `Tmpfs`) and the image's volumes, in one
 * list; pure. Volumes without a name get none here: whoever makes them does.
 */
export function wantedMounts(config: ContainerConfig, host: HostConfig): MountPoint[] {
  const mounts: MountPoint[] = [];
  const seen = new Set<string>();
  const add = (mount: MountPoint, written: string): void => {
    if (seen.has(mount.destination)) throw invalid(`Duplicate mount point: ${written}`);
    seen.add(mount.destination);
    mounts.push(mount);
  };
  for (const [destination, options] of Object.entries(host.Tmpfs ?? {})) {
    if (cleanPath(destination) === '/') throw invalid("invalid specification: destination can't be '/'");
    requireAbsolute(destination, plain);
    add({ ...blankMount('tmpfs', destination), tmpfs: options }, destination);
  }
  for (const bind of host.Binds ?? []) {
    const mount = parseBind(bind, host.VolumeDriver);
    add(mount, mount.destination);
  }
  for (const mount of host.Mounts ?? []) add(parseMount(mount), mount.Target ?? '');
  // A volume of the image gives way to anything mounted there on request.
  for (const destination of Object.keys(config.Volumes ?? {})) {
    if (!path.isAbsolute(destination)) throw invalid(`invalid volume specification: '${destination}'`);
    const clean = cleanPath(destination);
    if (seen.has(clean)) continue;
    mounts.push({ ...blankMount('volume', clean), driver: 'local', anonymous: true });
  }
  return mounts;
}

const plain = (why: string): EngineError => invalid(why);

/**
 * A bind of a directory that the data root is in, or the other way round, gets the mounts that come and go there, or the container would
 * hold on to filesystems that the engine unmounts (moby's daemon/daemon_linux.go, validateBindDaemonRoot).
 */
export function followDataRoot(mount: MountPoint, dataRoot: string): MountPoint {
  const { type, source, propagation } = mount;
  if (type !== 'bind' || !(source.startsWith(dataRoot) || dataRoot.startsWith(source))) return mount;
  if (!mount.propagationChosen) return { ...mount, propagation: 'rslave' };
  if (propagation === 'rslave' || propagation === 'rshared') return mount;
  throw invalid(
    `invalid mount config: must use either propagation mode "rslave" or "rshared" when mount source is within the daemon root, daemon root: "${dataRoot}", bind mount source: "${source}", propagation: "${propagation}"`,
  );
}
