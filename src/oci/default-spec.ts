import type {
  RuntimeDevice,
  RuntimeDeviceRule,
  RuntimeMount,
  RuntimeNamespace,
  RuntimeRlimit,
  RuntimeSpec,
} from './runtime-spec.ts';

/** Files that tell a container about the host, or let it disturb the host: hidden. Docker's list. */
export const MASKED_PATHS: readonly string[] = [
  '/proc/asound',
  '/proc/acpi',
  '/proc/interrupts',
  '/proc/kcore',
  '/proc/keys',
  '/proc/latency_stats',
  '/proc/timer_list',
  '/proc/timer_stats',
  '/proc/sched_debug',
  '/proc/scsi',
  '/sys/firmware',
  '/sys/devices/virtual/powercap',
];

export const READONLY_PATHS: readonly string[] = [
  '/proc/bus',
  '/proc/fs',
  '/proc/irq',
  '/proc/sys',
  '/proc/sysrq-trigger',
];

const DEFAULT_SHM_SIZE = 64 << 20;

/** /dev/null, zero, full, random, urandom, tty and console; the runtime makes their nodes itself (runtime-spec, "Default Devices"). */
const ALLOWED_DEVICES: [major: number, minor: number][] = [
  [1, 3],
  [1, 5],
  [1, 7],
  [1, 8],
  [1, 9],
  [5, 0],
  [5, 1],
];

export interface DefaultSpecOptions {
  cgroupVersion: 1 | 2;
  privileged?: boolean;
  /** Whether the container may make groups below its own; without it as `privileged`. */
  writableCgroups?: boolean;
  /** Bytes of /dev/shm, 64 MiB without it; `false` when the caller mounts its own there. */
  shm?: number | false;
}

/** The mounts of every container, in mounting order. */
export function defaultMounts(options: DefaultSpecOptions): RuntimeMount[] {
  const still = ['nosuid', 'noexec', 'nodev'];
  const access = options.privileged === true ? 'rw' : 'ro';
  const cgroupAccess = (options.writableCgroups ?? options.privileged) === true ? 'rw' : 'ro';
  const mounts: RuntimeMount[] = [
    { destination: '/proc', type: 'proc', source: 'proc', options: [...still] },
    {
      destination: '/dev',
      type: 'tmpfs',
      source: 'tmpfs',
      options: ['nosuid', 'strictatime', 'mode=755', 'size=65536k'],
    },
    {
      destination: '/dev/pts',
      type: 'devpts',
      source: 'devpts',
      options: ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620', 'gid=5'],
    },
    { destination: '/sys', type: 'sysfs', source: 'sysfs', options: [...still, access] },
    { destination: '/sys/fs/cgroup', type: 'cgroup', source: 'cgroup', options: [...still, cgroupAccess] },
    { destination: '/dev/mqueue', type: 'mqueue', source: 'mqueue', options: [...still] },
  ];
  if (options.shm !== false) {
    mounts.push({
      destination: '/dev/shm',
      type: 'tmpfs',
      source: 'shm',
      options: [...still, 'mode=1777', `size=${options.shm ?? DEFAULT_SHM_SIZE}`],
    });
  }
  return mounts;
}

/** What the device cgroup allows: everything to a privileged container, else Docker's few. */
export function defaultDeviceRules(privileged: boolean): RuntimeDeviceRule[] {
  if (privileged) return [{ allow: true, access: 'rwm' }];
  return [
    { allow: false, access: 'rwm' },
    ...ALLOWED_DEVICES.map(([major, minor]): RuntimeDeviceRule => ({
      allow: true,
      type: 'c',
      major,
      minor,
      access: 'rwm',
    })),
  ];
}

/** A rule that lets the container use a device that was given to it. `access` is of r, w and m. */
export function deviceRule(device: RuntimeDevice, access: string): RuntimeDeviceRule {
  const { major, minor } = device;
  return {
    allow: true,
    type: device.type === 'b' ? 'b' : 'c',
    ...(major === undefined ? {} : { major }),
    ...(minor === undefined ? {} : { minor }),
    access,
  };
}

/** Docker shares the host's cgroup namespace on v1 and makes a private one on v2. */
export function defaultNamespaces(cgroupVersion: 1 | 2): RuntimeNamespace[] {
  const namespaces: RuntimeNamespace[] = [
    { type: 'mount' },
    { type: 'network' },
    { type: 'uts' },
    { type: 'pid' },
    { type: 'ipc' },
  ];
  return cgroupVersion === 2 ? [...namespaces, { type: 'cgroup' }] : namespaces;
}

/** The specification of a container before anything of the image or the request is in it: its process runs nothing yet. */
export function defaultSpec(options: DefaultSpecOptions): RuntimeSpec {
  const privileged = options.privileged === true;
  return {
    ociVersion: '1.0.2',
    process: { user: { uid: 0, gid: 0 }, args: [], cwd: '/' },
    root: { path: 'rootfs' },
    mounts: defaultMounts(options),
    linux: {
      namespaces: defaultNamespaces(options.cgroupVersion),
      resources: { devices: defaultDeviceRules(privileged) },
      ...(privileged ? {} : { maskedPaths: [...MASKED_PATHS], readonlyPaths: [...READONLY_PATHS] }),
    },
  };
}

/**
 * Limits that this host can set: an engine without CAP_SYS_RESOURCE cannot give a container more than it has itself, and the
 * runtime would refuse to start it. `hard` has the engine's own hard limits by type (`RLIMIT_NOFILE`); types not in it pass.
 */
export function clampRlimits(
  wanted: readonly RuntimeRlimit[],
  hard: Readonly<Record<string, number>>,
): { rlimits: RuntimeRlimit[]; warnings: string[] } {
  const warnings: string[] = [];
  const rlimits = wanted.map((limit) => {
    const most = hard[limit.type];
    if (most === undefined || limit.hard <= most) return { ...limit };
    const name = limit.type.replace('RLIMIT_', '').toLowerCase();
    warnings.push(
      `The host's hard limit for ${name} is ${most}, and the engine may not raise it: ${limit.hard} was lowered to it.`,
    );
    return { type: limit.type, hard: most, soft: Math.min(limit.soft, most) };
  });
  return { rlimits, warnings };
}
