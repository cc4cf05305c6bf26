import { defaultDeviceRules, defaultSpec, deviceRule } from '#/oci/default-spec.ts';
import type {
  RuntimeDevice,
  RuntimeMount,
  RuntimeNamespace,
  RuntimeResources,
  RuntimeSpec,
} from '#/oci/runtime-spec.ts';
import { defaultSeccomp, isKernelAtLeast } from '#/oci/seccomp.ts';
import type { Accelerator } from './qemu-command.ts';

export interface SandboxOptions {
  /** The directory that makeSandboxRoot() filled. */
  root: string;
  args: readonly string[];
  env?: readonly string[];
  /** Who the first process is. */
  owner: { uid: number; gid: number };
  capabilities: readonly string[];
  /** Path in the sandbox -> path on the host; `recursive`: with what is mounted below it, now and later. */
  files: readonly { to: string; from: string; writable?: boolean; recursive?: boolean }[];
  accelerator: Accelerator;
  /** How many files each process may have open; 1024 without it. */
  openFiles?: number;
  /** Whether virtiofsd runs in there, which wants a setting of the host's that is in /proc. */
  shares?: boolean;
  /** A network namespace with the tap interfaces; one with nothing in it without. */
  netns?: string;
  cgroupsPath: string;
  resources: RuntimeResources;
  terminal: boolean;
  oomScoreAdj?: number;
  architecture: string;
  kernel: string;
}

const KVM: RuntimeDevice = { type: 'c', path: '/dev/kvm', major: 10, minor: 232, fileMode: 0o666 };
const TUN: RuntimeDevice = { type: 'c', path: '/dev/net/tun', major: 10, minor: 200, fileMode: 0o600 };

/** More than 127 layers, an interface or two, and QEMU's own. */
const MAX_FILES = 1024;

/**
 * The container that a microVM's host side runs in: whoever breaks out of QEMU finds himself there, as an unprivileged user. Its root
 * holds QEMU and its libraries, read-only, and nothing else. Pure.
 */
export function sandboxSpec(options: SandboxOptions): RuntimeSpec {
  const { owner, capabilities, architecture, kernel } = options;
  const spec = defaultSpec({ cgroupVersion: 2, privileged: false, shm: false });
  const caps = [...capabilities];
  const openFiles = options.openFiles ?? MAX_FILES;
  spec.process = {
    args: [...options.args],
    cwd: '/',
    env: ['PATH=/usr/bin', ...(options.env ?? [])],
    user: owner,
    capabilities: { bounding: caps, effective: caps, permitted: caps },
    noNewPrivileges: true,
    rlimits: [
      { type: 'RLIMIT_NOFILE', soft: openFiles, hard: openFiles },
      { type: 'RLIMIT_CORE', soft: 0, hard: 0 },
    ],
    ...(options.oomScoreAdj === undefined ? {} : { oomScoreAdj: options.oomScoreAdj }),
    ...(options.terminal ? { terminal: true } : {}),
  };
  spec.root = { path: options.root, readonly: true };
  const devices = [
    ...(options.accelerator === 'kvm' ? [KVM] : []),
    ...(options.netns === undefined ? [] : [TUN]),
  ];
  spec.mounts = [
    proc(options),
    ...spec.mounts.filter(({ destination }) => ['/dev', '/dev/pts'].includes(destination)),
    tmpfs('/run'),
    tmpfs('/tmp'),
    ...options.files.map(({ to, from, writable, recursive }) => ({
      destination: to,
      type: 'bind',
      source: from,
      options: [
        ...(recursive === true ? ['rbind', 'rslave'] : ['bind', 'rprivate']),
        'nosuid',
        'nodev',
        'noexec',
        writable === true ? 'rw' : 'ro',
      ],
    })),
  ];
  const namespaces: RuntimeNamespace[] = [
    ...(['mount', 'pid', 'ipc', 'uts', 'cgroup'] as const).map((type) => ({ type })),
    { type: 'network', ...(options.netns === undefined ? {} : { path: options.netns }) },
  ];
  spec.linux = {
    ...spec.linux,
    namespaces,
    cgroupsPath: options.cgroupsPath,
    rootfsPropagation: options.files.some(({ recursive }) => recursive) ? 'rslave' : 'rprivate',
    devices,
    resources: {
      ...options.resources,
      devices: [...defaultDeviceRules(false), ...devices.map((device) => deviceRule(device, 'rw'))],
    },
    seccomp: defaultSeccomp({ capabilities: caps, architecture, kernel }),
  };
  return spec;
}

/** Processes alone, where the kernel can show them without the rest, and of those only what one may look into. */
function proc({ kernel, shares = false }: SandboxOptions): RuntimeMount {
  const subset = isKernelAtLeast(kernel, '5.8') && !shares ? ['subset=pid'] : [];
  return {
    destination: '/proc',
    type: 'proc',
    source: 'proc',
    options: ['nosuid', 'nodev', 'noexec', 'hidepid=2', ...subset],
  };
}

function tmpfs(destination: string): RuntimeMount {
  return {
    destination,
    type: 'tmpfs',
    source: 'tmpfs',
    options: ['nosuid', 'nodev', 'noexec', 'mode=755', 'size=1m'],
  };
}
