import { resolve } from 'node:path';
import { parseBool } from '#/base/go-scalars.ts';
import { splitFields, splitPair } from '../flags/comma-separated.ts';
import { parseMemorySize } from '../flags/scalar.ts';

export interface MountOption {
  Type: string;
  Source?: string;
  Target?: string;
  ReadOnly?: boolean;
  Consistency?: string;
  BindOptions?: {
    Propagation?: string;
    NonRecursive?: boolean | undefined;
    CreateMountpoint?: boolean | undefined;
    ReadOnlyNonRecursive?: boolean;
    ReadOnlyForceRecursive?: boolean;
  };
  VolumeOptions?: {
    NoCopy?: boolean | undefined;
    Labels?: Record<string, string>;
    Subpath?: string;
    DriverConfig: { Name?: string; Options?: Record<string, string> };
  };
  ImageOptions?: { Subpath?: string };
  TmpfsOptions?: { SizeBytes?: number; Mode?: number };
}

/** Keys that may stand alone, meaning true. */
const SWITCHES = ['readonly', 'ro', 'volume-nocopy', 'bind-nonrecursive', 'bind-create-src'];

/** Reads one `--mount`: `type=bind,source=/a,target=/b,readonly`. */
export function parseMount(value: string, cwd: string): MountOption {
  if (value === '') throw new Error('EOF');
  const fields = splitFields(value);
  const mount: MountOption = { Type: 'volume' };
  for (const field of fields) readField(mount, field, cwd);
  if (mount.Target === undefined || mount.Target === '') throw new Error('target is required');
  const misplaced = (options: string, type: string): never => {
    throw new Error(`cannot mix '${options}-*' options with mount type '${type}'`);
  };
  if (mount.VolumeOptions && mount.Type !== 'volume') misplaced('volume', mount.Type);
  if (mount.BindOptions && mount.Type !== 'bind') misplaced('bind', mount.Type);
  if (mount.TmpfsOptions && mount.Type !== 'tmpfs') misplaced('tmpfs', mount.Type);
  if (mount.ImageOptions && mount.Type !== 'image') misplaced('image', mount.Type);
  checkReadOnly(mount);
  return mount;
}

function readField(mount: MountOption, field: string, cwd: string): void {
  const [name, given] = splitPair(field);
  const key = name.toLowerCase();
  if (given === undefined && !SWITCHES.includes(key)) {
    throw new Error(`invalid field '${field}' must be a key=value pair`);
  }
  const value = given ?? 'true';
  const flag = (): boolean => {
    try {
      return parseBool(value);
    } catch (error) {
      throw new Error(`invalid value for ${key}: ${value}`, { cause: error });
    }
  };
  const volume = (): NonNullable<MountOption['VolumeOptions']> =>
    (mount.VolumeOptions ??= { DriverConfig: {} });
  const bind = (): NonNullable<MountOption['BindOptions']> => (mount.BindOptions ??= {});
  const tmpfs = (): NonNullable<MountOption['TmpfsOptions']> => (mount.TmpfsOptions ??= {});
  switch (key) {
    case 'type':
      mount.Type = value.toLowerCase();
      return;
    case 'source':
    case 'src':
      // A path that says that it is relative is so to the client's directory, not to the daemon's.
      mount.Source =
        value === '.' || value.startsWith('./') || value.startsWith('..') ? resolve(cwd, value) : value;
      return;
    case 'target':
    case 'dst':
    case 'destination':
      mount.Target = value;
      return;
    case 'readonly':
    case 'ro':
      if (flag()) mount.ReadOnly = true;
      else delete mount.ReadOnly;
      return;
    case 'consistency':
      mount.Consistency = value.toLowerCase();
      return;
    case 'bind-propagation':
      bind().Propagation = value.toLowerCase();
      return;
    case 'bind-nonrecursive':
      bind().NonRecursive = flag() || undefined;
      return;
    case 'bind-create-src':
      bind().CreateMountpoint = flag() || undefined;
      return;
    case 'bind-recursive':
      readRecursive(bind, value);
      return;
    case 'volume-subpath':
      volume().Subpath = value;
      return;
    case 'volume-nocopy':
      volume().NoCopy = flag() || undefined;
      return;
    case 'volume-label': {
      const [label, text = ''] = splitPair(value);
      (volume().Labels ??= {})[label] = text;
      return;
    }
    case 'volume-driver':
      volume().DriverConfig.Name = value;
      return;
    case 'volume-opt': {
      const [option, text = ''] = splitPair(value);
      (volume().DriverConfig.Options ??= {})[option] = text;
      return;
    }
    case 'image-subpath':
      (mount.ImageOptions ??= {}).Subpath = value;
      return;
    case 'tmpfs-size':
      try {
        tmpfs().SizeBytes = parseMemorySize(value);
      } catch (error) {
        throw new Error(`invalid value for ${key}: ${value}`, { cause: error });
      }
      return;
    case 'tmpfs-mode':
      if (!/^[0-7]+$/.test(value)) throw new Error(`invalid value for ${key}: ${value}`);
      tmpfs().Mode = Number.parseInt(value, 8);
      return;
    default:
      throw new Error(`unexpected key '${key}' in '${field}'`);
  }
}

function readRecursive(bind: () => NonNullable<MountOption['BindOptions']>, value: string): void {
  if (value === 'disabled') bind().NonRecursive = true;
  else if (value === 'writable') bind().ReadOnlyNonRecursive = true;
  else if (value === 'readonly') bind().ReadOnlyForceRecursive = true;
  else if (value !== 'enabled') {
    throw new Error(
      `invalid value for bind-recursive: ${value} (must be "enabled", "disabled", "writable", or "readonly")`,
    );
  }
}

function checkReadOnly(mount: MountOption): void {
  const bind = mount.BindOptions;
  if (!bind || mount.ReadOnly) {
    if (bind?.ReadOnlyForceRecursive && bind.Propagation !== 'rprivate') {
      throw new Error(
        "option 'bind-recursive=readonly' requires 'bind-propagation=rprivate' to be specified in conjunction",
      );
    }
    return;
  }
  for (const [set, word] of [
    [bind.ReadOnlyNonRecursive, 'writable'],
    [bind.ReadOnlyForceRecursive, 'readonly'],
  ] as const) {
    if (set) {
      throw new Error(`option 'bind-recursive=${word}' requires 'readonly' to be specified in conjunction`);
    }
  }
}
