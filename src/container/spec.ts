import { containerDevices } from './devices.ts';
import { runtimeResources } from './resources.ts';
import { processEnv } from './merge-config.ts';
import { parseSecurityOptions } from './security-options.ts';
import type { ContainerRecord, MountPoint } from './record.ts';
import type { SharedMemory } from './shared-memory.ts';
import { checkSysctls } from './sysctls.ts';
import { mergeTmpfsOptions } from './tmpfs-options.ts';
import type { ProcessUser } from './user.ts';
import type { HostDevice } from '#/host/devices.ts';
import { internal } from '#/base/errors.ts';
import { capabilitySet, processCapabilities } from '#/oci/capabilities.ts';
import { clampRlimits, defaultSpec } from '#/oci/default-spec.ts';
import type {
  NamespaceType,
  RuntimeMount,
  RuntimeProcess,
  RuntimeResources,
  RuntimeRlimit,
  RuntimeSeccomp,
  RuntimeSpec,
} from '#/oci/runtime-spec.ts';
import { defaultSeccomp, parseSeccompProfile, translateSeccomp } from '#/oci/seccomp.ts';
import type { HostConfig } from '#/wire/generated.ts';

/** What the host is, as far as a container's specification depends on it. */
export interface SpecHost {
  cgroupVersion: 1 | 2;
  architecture: string;
  /** `major.minor…`, as uname says it. */
  kernel: string;
  /** Capabilities that the engine has to give. */
  capabilities: readonly string[];
  /** The engine's own hard limits by `RLIMIT_…` name. */
  hardLimits: Readonly<Record<string, number>>;
  oomScoreAdj: number;
  canLowerOomScore: boolean;
}

/** What the steps before found out and made for this one start. */
export interface SpecInputs {
  rootfs: string;
  user: ProcessUser;
  hostname: string;
  cgroupsPath: string;
  /** Namespaces that exist already, by path; `host` for none of its own. */
  namespaces: Partial<Record<NamespaceType, string>>;
  sharedMemory: SharedMemory;
  /** The container's mounts, sources resolved on the host. */
  mounts: readonly MountPoint[];
  /** /etc/hostname, /etc/hosts and /etc/resolv.conf on the host, by destination. */
  etcFiles: Readonly<Record<string, string>>;
  /** A static init program on the host, when one is wanted. */
  init?: string;
  /** Every device of the host, for privileged containers, and those that were asked for. */
  devices: readonly HostDevice[];
  defaultRlimits: readonly RuntimeRlimit[];
}

const INIT_IN_CONTAINER = '/sbin/docker-init';
const SHM = '/dev/shm';

/** The OCI specification of a container, and what of it this host could not give; pure. */
export function containerSpec(
  record: ContainerRecord,
  inputs: SpecInputs,
  host: SpecHost,
): { spec: RuntimeSpec; warnings: string[] } {
  const { hostConfig } = record;
  const privileged = hostConfig.Privileged ?? false;
  const security = parseSecurityOptions(hostConfig.SecurityOpt ?? []);
  const spec = defaultSpec({
    cgroupVersion: host.cgroupVersion,
    privileged,
    shm: inputs.sharedMemory === 'private' ? hostConfig.ShmSize || undefined : false,
  });
  const capabilities = capabilitySet({
    add: hostConfig.CapAdd,
    drop: hostConfig.CapDrop,
    privileged,
    available: host.capabilities,
  });
  const { process, warnings } = containerProcess(
    record,
    inputs,
    host,
    capabilities,
    security.noNewPrivileges,
  );
  spec.process = process;
  spec.root = { path: inputs.rootfs, readonly: hostConfig.ReadonlyRootfs ?? false };
  spec.annotations = hostConfig.Annotations ?? {};
  spec.mounts = allMounts(spec.mounts, inputs, hostConfig, host);
  spec.linux.cgroupsPath = inputs.cgroupsPath;
  spec.linux.namespaces = namespaces(spec, inputs, hostConfig, host.cgroupVersion);
  if (inputs.namespaces.uts !== 'host') spec.hostname = inputs.hostname;
  const { devices, rules } = containerDevices(inputs.devices, hostConfig);
  spec.linux.devices = devices;
  spec.linux.resources = {
    ...startResources(hostConfig),
    devices: [...(spec.linux.resources?.devices ?? []), ...rules],
  };
  spec.linux.sysctl = sysctls(inputs, record);
  spec.linux.rootfsPropagation = inputs.mounts.some((mount) => /shared|slave/.test(mount.propagation))
    ? inputs.mounts.some((mount) => mount.propagation.includes('shared'))
      ? 'rshared'
      : 'rslave'
    : 'rprivate';
  if (!privileged) {
    const seccomp = seccompFilter(security.seccomp, capabilities, host);
    if (seccomp !== undefined) spec.linux.seccomp = seccomp;
  }
  if (security.systemPathsUnconfined) {
    spec.linux.maskedPaths = [];
    spec.linux.readonlyPaths = [];
  }
  if (hostConfig.MaskedPaths) spec.linux.maskedPaths = hostConfig.MaskedPaths;
  if (hostConfig.ReadonlyPaths) spec.linux.readonlyPaths = hostConfig.ReadonlyPaths;
  return { spec, warnings };
}

/** A limit of processes that was taken away is none. */
function startResources(hostConfig: HostConfig): RuntimeResources {
  const { pids, ...others } = runtimeResources(hostConfig);
  return pids === undefined || pids.limit < 0 ? others : { ...others, pids };
}

function containerProcess(
  record: ContainerRecord,
  inputs: SpecInputs,
  host: SpecHost,
  capabilities: readonly string[],
  noNewPrivileges: boolean,
): { process: RuntimeProcess; warnings: string[] } {
  const { config, hostConfig } = record;
  const wanted = (hostConfig.Ulimits ?? []).map(({ Name = '', Soft = 0, Hard = 0 }) => ({
    type: `RLIMIT_${Name.toUpperCase()}`,
    soft: unlimited(Soft),
    hard: unlimited(Hard),
  }));
  const named = new Set(wanted.map((limit) => limit.type));
  const { rlimits, warnings } = clampRlimits(
    [...wanted, ...inputs.defaultRlimits.filter((limit) => !named.has(limit.type))],
    host.hardLimits,
  );
  const args = [record.path, ...record.args];
  const process: RuntimeProcess = {
    terminal: config.Tty ?? false,
    user: {
      uid: inputs.user.uid,
      gid: inputs.user.gid,
      additionalGids: [
        inputs.user.gid,
        ...inputs.user.additionalGids.filter((gid) => gid !== inputs.user.gid),
      ],
    },
    args: inputs.init === undefined ? args : [INIT_IN_CONTAINER, '--', ...args],
    env: processEnv(config, inputs.hostname, inputs.user.home),
    cwd: config.WorkingDir || '/',
    capabilities: processCapabilities(capabilities, inputs.user.uid),
    rlimits,
    noNewPrivileges,
  };
  const [height, width] = hostConfig.ConsoleSize ?? [];
  if (config.Tty && height && width) process.consoleSize = { height, width };
  const oom = hostConfig.OomScoreAdj ?? 0;
  if (oom < host.oomScoreAdj && !host.canLowerOomScore) {
    if (oom !== 0) {
      warnings.push(
        `The engine may not lower the OOM score below its own ${host.oomScoreAdj}: ${oom} has no effect.`,
      );
    }
  } else if (oom !== 0) {
    process.oomScoreAdj = oom;
  }
  return { process, warnings };
}

/** The specification's largest value stands for no limit (getrlimit(2), RLIM_INFINITY), which a double cannot hold. */
function unlimited(value: number): number {
  return value < 0 ? Number.MAX_SAFE_INTEGER : value;
}

function namespaces(
  spec: RuntimeSpec,
  inputs: SpecInputs,
  hostConfig: HostConfig,
  cgroupVersion: 1 | 2,
): RuntimeSpec['linux']['namespaces'] {
  const wanted = spec.linux.namespaces.filter(({ type }) => type !== 'cgroup');
  const cgroup =
    hostConfig.CgroupnsMode || (cgroupVersion === 2 && !hostConfig.Privileged ? 'private' : 'host');
  if (cgroup === 'private') wanted.push({ type: 'cgroup' });
  return wanted.flatMap(({ type }) => {
    const path = inputs.namespaces[type];
    if (path === 'host') return [];
    return [path === undefined ? { type } : { type, path }];
  });
}

function allMounts(
  defaults: RuntimeMount[],
  inputs: SpecInputs,
  hostConfig: HostConfig,
  host: SpecHost,
): RuntimeMount[] {
  const taken = new Set(inputs.mounts.map((mount) => mount.destination));
  const mounts = defaults.filter((mount) => !taken.has(mount.destination));
  if (typeof inputs.sharedMemory === 'object' && !taken.has(SHM)) {
    const { source } = inputs.sharedMemory;
    // Said again, because crun drops what the mount has when it is bound. The host's own is shown as it is.
    const still = source === SHM ? [] : ['nosuid', 'noexec', 'nodev'];
    mounts.push(bind(source, SHM, ['rbind', 'rprivate', ...still]));
  }
  if (inputs.init !== undefined)
    mounts.push(bind(inputs.init, INIT_IN_CONTAINER, ['bind', 'ro', 'rprivate']));
  const access = hostConfig.ReadonlyRootfs ? 'ro' : 'rw';
  for (const [destination, source] of Object.entries(inputs.etcFiles)) {
    if (!taken.has(destination)) mounts.push(bind(source, destination, ['rbind', 'rprivate', access]));
  }
  // A mount inside another one must come after it.
  const own = inputs.mounts.toSorted((a, b) => depth(a.destination) - depth(b.destination));
  return [...mounts, ...own.map((mount) => runtimeMount(mount, host))];
}

function depth(path: string): number {
  return path.split('/').filter(Boolean).length;
}

function bind(source: string, destination: string, options: string[]): RuntimeMount {
  return { type: 'bind', source, destination, options };
}

function runtimeMount(mount: MountPoint, host: SpecHost): RuntimeMount {
  if (mount.type === 'tmpfs') {
    const options = mergeTmpfsOptions(mount.tmpfs ?? '');
    return { type: 'tmpfs', source: 'tmpfs', destination: mount.destination, options };
  }
  const options = [mount.nonRecursive ? 'bind' : 'rbind', mount.propagation || 'rprivate'];
  options.push(...(mount.restrictions ?? []));
  if (!mount.readWrite) options.push(isReadOnlyBelow(mount, host) ? 'rro' : 'ro');
  return bind(mount.source, mount.destination, options);
}

/** Whether what is mounted below a read-only mount becomes read-only too. In the words of moby's daemon/oci_linux.go. */
function isReadOnlyBelow(mount: MountPoint, { kernel }: SpecHost): boolean {
  if (mount.readOnlyNonRecursive) {
    if (!mount.readOnlyForceRecursive) return false;
    throw internal('mount options conflict: ReadOnlyNonRecursive && ReadOnlyForceRecursive');
  }
  const [major = 0, minor = 0] = kernel.split('.').map(Number);
  // mount_setattr(2)
  if (major > 5 || (major === 5 && minor >= 12)) return true;
  if (mount.readOnlyForceRecursive) {
    throw internal('rro is not supported: function not implemented (kernel is older than 5.12?)');
  }
  return false;
}

function sysctls(inputs: SpecInputs, { config, hostConfig }: ContainerRecord): Record<string, string> {
  const { network, ipc, uts } = inputs.namespaces;
  // Not as the specification's `domainname`, which the runtimes of Debian 12 do not all know.
  const domainname: Record<string, string> = config.Domainname
    ? { 'kernel.domainname': config.Domainname }
    : {};
  const wanted = { ...domainname, ...hostConfig.Sysctls };
  checkSysctls(wanted, { network: network !== 'host', ipc: ipc !== 'host', uts: uts !== 'host' });
  // Docker's: any process of a container may ping and listen below 1024; its namespace is its own.
  const own: Record<string, string> =
    network === 'host'
      ? {}
      : { 'net.ipv4.ip_unprivileged_port_start': '0', 'net.ipv4.ping_group_range': '0 2147483647' };
  return { ...own, ...wanted };
}

function seccompFilter(
  wanted: string | undefined,
  capabilities: readonly string[],
  host: SpecHost,
): RuntimeSeccomp | undefined {
  if (wanted === 'unconfined') return undefined;
  const target = { capabilities, architecture: host.architecture, kernel: host.kernel };
  return wanted === undefined
    ? defaultSeccomp(target)
    : translateSeccomp(parseSeccompProfile(wanted), target);
}
