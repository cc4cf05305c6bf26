import path from 'node:path';
import { type EngineError, invalid } from '#/base/errors.ts';
import type { Mount } from '#/wire/generated.ts';
import { isPropagation } from './mount-modes.ts';
import type { MountPoint } from '../record.ts';
import { tmpfsData } from './tmpfs-options.ts';

/** The options a type of mount may have; every other's are refused. */
const OPTIONS_OF = {
  bind: 'BindOptions',
  volume: 'VolumeOptions',
  tmpfs: 'TmpfsOptions',
  image: 'ImageOptions',
} as const satisfies Record<MountPoint['type'], keyof Mount>;

/** Reads and checks the structured form of a mount; pure. Throws `invalid` in the words of moby's volume/mounts/linux_parser.go. */
export function parseMount(mount: Mount): MountPoint {
  const fail = (why: string): EngineError =>
    invalid(`invalid mount config for type "${mount.Type ?? ''}": ${why}`);
  const target = mount.Target ?? '';
  if (target === '') throw fail('field Target must not be empty');
  if (cleanPath(target) === '/') throw fail("invalid specification: destination can't be '/'");
  requireAbsolute(target, fail);
  const type = knownType(mount.Type);
  if (type === undefined) throw fail('mount type unknown');
  const source = mount.Source ?? '';
  if (source === '' && (type === 'bind' || type === 'image')) throw fail('field Source must not be empty');
  const propagation = mount.BindOptions?.Propagation ?? '';
  if (type === 'bind' && propagation !== '' && !isPropagation(propagation)) {
    throw fail(`invalid propagation mode: ${propagation}`);
  }
  for (const [other, field] of Object.entries(OPTIONS_OF)) {
    if (other !== type && mount[field] !== undefined) throw fail(`field ${field} must not be specified`);
  }
  return { ...blankMount(type, target, !mount.ReadOnly), ...ofType[type](mount, source, fail) };
}

type Reader = (mount: Mount, source: string, fail: (why: string) => EngineError) => Partial<MountPoint>;

const ofType: Record<MountPoint['type'], Reader> = {
  bind: ({ BindOptions: options = {} }, source, fail) => {
    requireAbsolute(source, fail);
    return {
      source: cleanPath(source),
      propagation: options.Propagation || 'rprivate',
      propagationChosen: Boolean(options.Propagation),
      nonRecursive: options.NonRecursive ?? false,
      createSource: options.CreateMountpoint ?? false,
      readOnlyNonRecursive: options.ReadOnlyNonRecursive ?? false,
      readOnlyForceRecursive: options.ReadOnlyForceRecursive ?? false,
    };
  },
  volume: ({ VolumeOptions: options = {} }, source, fail) => {
    const subpath = options.Subpath ?? '';
    if (subpath !== '' && source === '') throw fail('must not set Subpath when using anonymous volumes');
    requireLocal(subpath, fail);
    return {
      ...(source === '' ? {} : { name: source }),
      anonymous: source === '',
      mode: 'z',
      driver: options.DriverConfig?.Name || 'local',
      noCopy: options.NoCopy ?? false,
      subpath,
    };
  },
  tmpfs: ({ TmpfsOptions: options = {}, ReadOnly: readOnly = false }, source, fail) => {
    if (source !== '') throw fail('field Source must not be specified');
    return { tmpfs: tmpfsData(options, readOnly, fail) };
  },
  image: ({ ImageOptions: options = {} }, source, fail) => {
    requireLocal(options.Subpath ?? '', fail);
    return {
      name: source,
      readWrite: false,
      propagation: 'rprivate',
      subpath: options.Subpath ?? '',
    };
  },
};

/** A mount with nothing said of it but where it goes. */
export function blankMount(type: MountPoint['type'], target: string, readWrite = true): MountPoint {
  return { type, source: '', destination: cleanPath(target), mode: '', readWrite, propagation: '' };
}

export function cleanPath(target: string): string {
  const normal = path.posix.normalize(target);
  return normal.length > 1 && normal.endsWith('/') ? normal.slice(0, -1) : normal;
}

export function requireAbsolute(target: string, fail: (why: string) => EngineError): void {
  if (!target.startsWith('/')) throw fail(`invalid mount path: '${target}' mount path must be absolute`);
}

/** As Go's filepath.IsLocal: by its words alone it stays where it starts. */
function requireLocal(subpath: string, fail: (why: string) => EngineError): void {
  const clean = path.posix.normalize(subpath);
  if (subpath.startsWith('/') || clean === '..' || clean.startsWith('../')) {
    throw fail('subpath must be a relative path within the volume');
  }
}

function knownType(type: string | undefined): MountPoint['type'] | undefined {
  return type !== undefined && Object.hasOwn(OPTIONS_OF, type) ? (type as MountPoint['type']) : undefined;
}
