import path from 'node:path';
import { invalid } from '#/base/errors.ts';
import type { ContainerConfig, HostConfig, Mount } from '#/wire/generated.ts';
import type { MountPoint } from './record.ts';

/**
 * What a request wants mounted, from its three spellings (`Binds`, `Mounts`, `Tmpfs`) and the image's volumes, in one
 * list; pure. Volumes without a name get none here: whoever makes them does.
 */
export function wantedMounts(config: ContainerConfig, host: HostConfig): MountPoint[] {
  const mounts: MountPoint[] = [];
  for (const bind of host.Binds ?? []) mounts.push(parseBind(bind, host.VolumeDriver));
  for (const mount of host.Mounts ?? []) mounts.push(parseMount(mount));
  for (const [destination, options] of Object.entries(host.Tmpfs ?? {})) {
    requireAbsolute(destination, `invalid mount path: '${destination}' mount path must be absolute`);
    mounts.push({ ...blank('tmpfs', destination), tmpfs: parseTmpfsOptions(options) });
  }
  refuseDuplicates(mounts);
  // A volume of the image gives way to anything mounted there on request.
  for (const destination of Object.keys(config.Volumes ?? {})) {
    requireAbsolute(destination, `invalid volume specification: '${destination}'`);
    const clean = cleanPath(destination);
    if (mounts.some((mount) => mount.destination === clean)) continue;
    mounts.push({ ...blank('volume', clean), driver: 'local', anonymous: true });
  }
  return mounts;
}

const PROPAGATIONS = new Set(['private', 'rprivate', 'shared', 'rshared', 'slave', 'rslave']);
// Words of `-v SOURCE:TARGET:MODE`; Docker's documentation of bind mounts and volumes.
const MODES = new Set(['ro', 'rw', 'z', 'Z', 'nocopy', 'cached', 'delegated', 'consistent']);

/** `SOURCE:TARGET[:MODE]`, `NAME:TARGET[:MODE]` or `TARGET`. Throws `invalid` in Docker's words. */
export function parseBind(bind: string, volumeDriver?: string): MountPoint {
  const parts = bind.split(':');
  if (bind === '' || parts.length > 3 || parts.some((part) => part === '')) {
    throw invalid(`invalid volume specification: '${bind}'`);
  }
  const [source, target, mode = ''] =
    parts.length === 1 ? [undefined, parts[0] ?? ''] : [parts[0], parts[1] ?? '', parts[2]];
  if (!path.isAbsolute(target))
    throw invalid(
      `invalid volume specification: '${bind}': invalid mount config for type "${source?.startsWith('/') ? 'bind' : 'volume'}": invalid mount path: '${target}' mount path must be absolute`,
    );
  const destination = cleanPath(target);
  if (destination === '/') {
    throw invalid(
      `invalid volume specification: '${bind}': invalid mount config for type "bind": invalid specification: destination can't be '/'`,
    );
  }
  const words = mode === '' ? [] : mode.split(',');
  const propagation = words.filter((word) => PROPAGATIONS.has(word));
  const bad = words.some((word) => !MODES.has(word) && !PROPAGATIONS.has(word));
  if (bad || propagation.length > 1 || (words.includes('ro') && words.includes('rw'))) {
    throw invalid(`invalid mode: ${mode}`);
  }
  const shared = { destination, mode, readWrite: !words.includes('ro') };
  if (source?.startsWith('/')) {
    return {
      ...blank('bind', destination),
      ...shared,
      source: cleanPath(source),
      propagation: propagation[0] ?? 'rprivate',
      createSource: true,
    };
  }
  if (propagation.length > 0) throw invalid(`invalid mode: ${mode}`);
  if (source !== undefined && !/^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/.test(source)) {
    throw invalid(
      `create ${source}: "${source}" includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path`,
    );
  }
  return {
    ...blank('volume', destination),
    ...shared,
    name: source,
    anonymous: source === undefined,
    mode: mode === '' ? (source === undefined ? '' : 'z') : mode,
    driver: volumeDriver || 'local',
    noCopy: words.includes('nocopy'),
  };
}

/** `CONTAINER[:ro|:rw|:z|:Z]` of `--volumes-from`. */
export function parseVolumesFrom(from: string): { reference: string; readOnly: boolean } {
  const [reference = '', mode = '', ...rest] = from.split(':');
  if (reference === '' || rest.length > 0) throw invalid(`invalid volumes-from specification: '${from}'`);
  if (mode !== '' && !['ro', 'rw', 'z', 'Z'].includes(mode))
    throw invalid(`invalid mode for volumes-from: ${mode}`);
  return { reference, readOnly: mode === 'ro' };
}

/** The structured form. Throws `invalid` in Docker's words. */
export function parseMount(mount: Mount): MountPoint {
  const type = mount.Type;
  const fail = (why: string): never => {
    throw invalid(`invalid mount config for type "${type ?? ''}": ${why}`);
  };
  const target = mount.Target ?? '';
  if (target === '') fail('field Target must not be empty');
  if (!path.isAbsolute(target)) fail(`invalid mount path: '${target}' mount path must be absolute`);
  const destination = cleanPath(target);
  if (destination === '/') fail("invalid specification: destination can't be '/'");
  const source = mount.Source ?? '';
  const shared = { destination, readWrite: !mount.ReadOnly };
  switch (type) {
    case 'bind':
      if (source === '') fail('field Source must not be empty');
      if (!path.isAbsolute(source)) fail(`invalid mount path: '${source}' mount path must be absolute`);
      if (mount.VolumeOptions) fail('field VolumeOptions must not be specified');
      return {
        ...blank('bind', destination),
        ...shared,
        source: cleanPath(source),
        propagation: mount.BindOptions?.Propagation || 'rprivate',
        nonRecursive: mount.BindOptions?.NonRecursive ?? false,
        createSource: mount.BindOptions?.CreateMountpoint ?? false,
      };
    case 'volume':
      if (mount.BindOptions) fail('field BindOptions must not be specified');
      return {
        ...blank('volume', destination),
        ...shared,
        name: source === '' ? undefined : source,
        anonymous: source === '',
        mode: 'z',
        driver: mount.VolumeOptions?.DriverConfig?.Name || 'local',
        noCopy: mount.VolumeOptions?.NoCopy ?? false,
        subpath: mount.VolumeOptions?.Subpath,
      };
    case 'tmpfs':
      if (source !== '') fail('field Source must not be specified');
      return {
        ...blank('tmpfs', destination),
        ...shared,
        tmpfs: {
          size: mount.TmpfsOptions?.SizeBytes,
          mode: mount.TmpfsOptions?.Mode,
          options: mount.ReadOnly ? ['ro'] : [],
        },
      };
    default:
      throw invalid(`mount type unknown: "${type ?? ''}"`);
  }
}

function blank(type: MountPoint['type'], destination: string): MountPoint {
  return {
    type,
    source: '',
    destination: cleanPath(destination),
    mode: '',
    readWrite: true,
    propagation: '',
  };
}

function parseTmpfsOptions(text: string): MountPoint['tmpfs'] {
  const options: string[] = [];
  let size: number | undefined;
  let mode: number | undefined;
  for (const option of text.split(',').filter(Boolean)) {
    const [name, value] = option.split('=');
    if (name === 'size' && value !== undefined) size = parseSize(value);
    else if (name === 'mode' && value !== undefined && /^[0-7]+$/.test(value)) mode = parseInt(value, 8);
    else if (TMPFS_OPTIONS.has(name ?? '')) options.push(option);
    else throw invalid(`Invalid tmpfs option ["${option}"]`);
  }
  return { size, mode, options };
}

const TMPFS_OPTIONS = new Set(
  'ro rw nosuid suid nodev dev noexec exec sync async noatime atime nodiratime diratime relatime norelatime strictatime nostrictatime uid gid nr_inodes nr_blocks mpol huge'.split(
    ' ',
  ),
);

const UNITS: Record<string, number> = { '': 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30, t: 2 ** 40 };

function parseSize(text: string): number {
  const match = /^(\d+)([kmgt]?)b?$/i.exec(text);
  if (match === null) throw invalid(`Invalid tmpfs option ["size=${text}"]`);
  return Number(match[1]) * (UNITS[(match[2] ?? '').toLowerCase()] ?? 1);
}

function refuseDuplicates(mounts: readonly MountPoint[]): void {
  const seen = new Set<string>();
  for (const { destination } of mounts) {
    if (seen.has(destination)) throw invalid(`Duplicate mount point: ${destination}`);
    seen.add(destination);
  }
}

function requireAbsolute(target: string, message: string): void {
  if (!path.isAbsolute(target)) throw invalid(message);
}

function cleanPath(target: string): string {
  const normal = path.normalize(target);
  return normal.length > 1 && normal.endsWith('/') ? normal.slice(0, -1) : normal;
}
