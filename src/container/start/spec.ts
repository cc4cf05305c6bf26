import { containerDevices } from './devices.ts';
import { runtimeResources } from './resources.ts';
import { processEnv } from '../create/merge-config.ts';
import { type ProcessLimitHost, processLimits } from './process-limits.ts';
import { parseSecurityOptions } from '../create/security-options.ts';
import type { ContainerRecord, MountPoint } from '../record.ts';
import type { SharedMemory } from './shared-memory.ts';
import { checkSysctls } from './sysctls.ts';
import { mergeTmpfsOptions } from '../filesystem/tmpfs-options.ts';
import type { ProcessUser } from './user.ts';
import type { HostDevice } from '#/host/devices.ts';
import { internal } from '#/base/errors.ts';
import { capabilitySet, processCapabilities } from '#/oci/capabilities.ts';
import { defaultSpec } from '#/oci/default-spec.ts';
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
export interface SpecHost extends ProcessLimitHost {
  cgroupVersion: 1 | 2;
  architecture: string;
  /** `major.minor…`, as uname says it. */
  kernel: string;
  /** Capabilities that the engine has to give. */
  capabilities: readonly string[];
  /** The AppArmor profile of containers that name none; undefined where the host has no AppArmor. */
  apparmorProfile?: string;
  /** The kernel is the container's alone. */
  ownKernel?: boolean;
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
  /** What the environment says of linked containers. */
  linkVariables: readonly string[];
  /** What the daemon says for containers that say nothing. */
  security: SecurityDefaults;
}

export interface SecurityDefaults {
  noNewPrivileges: boolean;
  /** A profile's JSON text, `unconfined` or `builtin`. */
  seccomp: string;
}

const INIT_IN_CONTAINER = '/sbin/docker-init';
const SHM = '/dev/shm';

/** The OCI specification of a container; pure. */
export function containerSpec(record: ContainerRecord, inputs: SpecInputs, host: SpecHost): RuntimeSpec {
  const { config, hostConfig, idMapping } = record;
  const privileged = hostConfig.Privileged ?? false;
  const security = parseSecurityOptions(hostConfig.SecurityOpt ?? []);
  const spec = defaultSpec({
    cgroupVersion: host.cgroupVersion,
    privileged,
    writableCgroups: security.writableCgroups ?? privileged,
    shm: inputs.sharedMemory === 'private' ? hostConfig.ShmSize || undefined : false,
  });
  const capabilities = capabilitySet({
    add: hostConfig.CapAdd,
    drop: hostConfig.CapDrop,
    privileged,
    available: host.capabilities,
  });
  spec.process = containerProcess(record, inputs, host, capabilities);
  spec.process.noNewPrivileges = security.noNewPrivileges ?? inputs.security.noNewPrivileges;
  const apparmor = apparmorOf(hostConfig, host);
  if (apparmor !== undefined) spec.process.apparmorProfile = apparmor;
  spec.root = { path: inputs.rootfs, readonly: hostConfig.ReadonlyRootfs ?? false };
  spec.annotations = hostConfig.Annotations ?? {};
  spec.mounts = allMounts(spec.mounts, inputs, hostConfig, host);
  spec.linux.cgroupsPath = inputs.cgroupsPath;
  spec.linux.namespaces = namespaces(spec, inputs, hostConfig, host.cgroupVersion);
  if (idMapping !== undefined) {
    spec.linux.uidMappings = idMapping.uids;
    spec.linux.gidMappings = idMapping.gids;
  }
  if (inputs.namespaces.uts !== 'host') {
    spec.hostname = inputs.hostname;
    if (idMapping !== undefined && config.Domainname) spec.domainname = config.Domainname;
  }
  const { devices, rules } = containerDevices(inputs.devices, hostConfig);
  spec.linux.devices = devices;
  spec.linux.resources = {
    ...startResources(hostConfig),
    devices: [...(spec.linux.resources?.devices ?? []), ...rules],
  };
  spec.linux.sysctl = sysctls(inputs, record, host.ownKernel === true);
  spec.linux.rootfsPropagation = inputs.mounts.some((mount) => /shared|slave/.test(mount.propagation))
    ? inputs.mounts.some((mount) => mount.propagation.includes('shared'))
      ? 'rshared'
      : 'rslave'
    : 'rprivate';
  // A privileged container is filtered only where it asks for it.
  const profile = security.seccomp ?? (privileged ? 'unconfined' : inputs.security.seccomp);
  const seccomp = seccompFilter(profile, capabilities, host);
  if (seccomp !== undefined) spec.linux.seccomp = seccomp;
  if (security.systemPathsUnconfined) {
    spec.linux.maskedPaths = [];
    spec.linux.readonlyPaths = [];
  }
  if (hostConfig.MaskedPaths) spec.linux.maskedPaths = hostConfig.MaskedPaths;
  if (hostConfig.ReadonlyPaths) spec.linux.readonlyPaths = hostConfig.ReadonlyPaths;
  return spec;
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
): RuntimeProcess {
  const { config, hostConfig } = record;
  const { rlimits, oomScoreAdj } = processLimits(hostConfig, inputs.defaultRlimits, host);
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
    env: processEnv(config, inputs.hostname, inputs.user.home, inputs.linkVariables),
    cwd: config.WorkingDir || '/',
    capabilities: processCapabilities(capabilities, inputs.user.uid),
    rlimits,
  };
  const [height, width] = hostConfig.ConsoleSize ?? [];
  if (config.Tty && height && width) process.consoleSize = { height, width };
  if (oomScoreAdj !== undefined) process.oomScoreAdj = oomScoreAdj;
  return process;
}

/** What containers name to get the engine's own profile, whatever it is called. */
const DOCKER_DEFAULT = 'docker-default';

/** The profile that a container's processes run under; undefined where the host has no AppArmor. */
export function apparmorOf(hostConfig: HostConfig, { apparmorProfile: own }: SpecHost): string | undefined {
  if (own === undefined) return undefined;
  const { apparmor: asked } = parseSecurityOptions(hostConfig.SecurityOpt ?? []);
  if (asked === undefined) return hostConfig.Privileged ? 'unconfined' : own;
  return asked === DOCKER_DEFAULT ? own : asked;
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
  if (inputs.namespaces.user !== undefined) wanted.push({ type: 'user' });
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
  // Message queues are shown by the IPC namespace's own user namespace alone.
  const foreignIpc = inputs.namespaces.user !== undefined && inputs.namespaces.ipc === 'host';
  const mounts = defaults.filter(
    ({ destination, type }) => !taken.has(destination) && !(foreignIpc && type === 'mqueue'),
  );
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

/** A mount as the runtime is to make it; its source is on the host. */
export function runtimeMount(mount: MountPoint, host: SpecHost): RuntimeMount {
  if (mount.type === 'tmpfs') {
    const options = mergeTmpfsOptions(mount.tmpfs ?? '');
    return { type: 'tmpfs', source: 'tmpfs', destination: mount.destination, options };
  }
  const options = [mount.nonRecursive ? 'bind' : 'rbind', mount.propagation || 'rprivate'];
  options.push(...(mount.restrictions ?? []));
  // There is nothing below a file, and crun 1.8 wants a directory for what is recursive.
  if (!mount.readWrite) options.push(isReadOnlyBelow(mount, host) && !mount.isFile ? 'rro' : 'ro');
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

function sysctls(
  inputs: SpecInputs,
  { config, hostConfig, idMapping }: ContainerRecord,
  kernel: boolean,
): Record<string, string> {
  const { network, ipc, uts } = inputs.namespaces;
  // Not as the specification's `domainname`, which runc 1.1 does not know, except where only that way is open: to whoever is not
  // the host's root.
  const domainname: Record<string, string> = config.Domainname
    ? { 'kernel.domainname': config.Domainname }
    : {};
  checkSysctls(
    { ...domainname, ...hostConfig.Sysctls },
    { kernel, network: network !== 'host', ipc: ipc !== 'host', uts: uts !== 'host' },
  );
  const wanted = { ...(idMapping === undefined ? domainname : {}), ...hostConfig.Sysctls };
  // Docker's: any process of a container may ping and listen below 1024; its namespace is its own. The kernel takes only groups that
  // the user namespace has.
  const lastGroup = idMapping === undefined ? 2 ** 31 - 1 : (idMapping.gids[0]?.size ?? 1) - 1;
  const own: Record<string, string> =
    network === 'host' && !kernel
      ? {}
      : { 'net.ipv4.ip_unprivileged_port_start': '0', 'net.ipv4.ping_group_range': `0 ${lastGroup}` };
  return { ...own, ...wanted };
}

function seccompFilter(
  profile: string,
  capabilities: readonly string[],
  host: SpecHost,
): RuntimeSeccomp | undefined {
  if (profile === 'unconfined') return undefined;
  const target = { capabilities, architecture: host.architecture, kernel: host.kernel };
  return profile === 'builtin'
    ? defaultSeccomp(target)
    : translateSeccomp(parseSeccompProfile(profile), target);
}
