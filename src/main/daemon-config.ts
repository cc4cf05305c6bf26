import type { LogLevel } from '#/base/log.ts';
import type { CgroupDriver } from '#/container/create/cgroup-parent.ts';

/** What the daemon was told, by flags and file together, with Docker's defaults for the rest. */
export interface DaemonConfig {
  configFile: string;
  hosts: string[];
  dataRoot: string;
  execRoot: string;
  pidfile: string;
  /** Group that owns the unix sockets; undefined for the usual ones. */
  group?: string;
  debug: boolean;
  /** Clients are told so: docker has `checkpoint` for such daemons only. What there is is there either way. */
  experimental: boolean;
  logLevel: LogLevel;
  labels: string[];
  liveRestore: boolean;
  /** Seconds that stopping containers may take when the daemon stops without live restore. */
  shutdownTimeout: number;
  metricsAddress?: string;
  tls?: TlsConfig;
  /** Whether TLS was asked for or declined: without a word of either, TCP is served on the loopback alone. */
  tlsSaid: boolean;
  registryMirrors: string[];
  insecureRegistries: string[];
  storageDriver?: string;
  usernsRemap?: string;
  /** Name -> program and its leading arguments. */
  runtimes: Record<string, RuntimeConfig>;
  defaultRuntime?: string;
  vm: VmConfig;
  network: NetworkConfig;
  container: ContainerConfigDefaults;
  /** Settings of dockerd's that do nothing here, for a warning. */
  withoutEffect: string[];
}

export interface TlsConfig {
  /** Clients must show a certificate of this authority. */
  verify: boolean;
  authority?: string;
  certificate: string;
  key: string;
}

/** How containers that have a kernel of their own run. */
export interface VmConfig {
  /** Holds `vmlinux`, `release` and `modules/`; what the set-up installed without it. */
  kernelDirectory?: string;
  accelerator: 'auto' | 'kvm' | 'tcg';
  /** Bytes of memory of a guest whose container has no limit. */
  memory: number;
  /** Whether starts go on from a guest that was saved after its boot. */
  snapshots: boolean;
}

export interface RuntimeConfig {
  path: string;
  args: string[];
}

/** The default bridge and what holds for all networks. */
export interface NetworkConfig {
  bridge?: string;
  bip?: string;
  fixedCidr?: string;
  defaultGateway?: string;
  defaultAddressPools?: { base: string; size: number }[];
  icc: boolean;
  iptables: boolean;
  ipForward: boolean;
  ipMasq: boolean;
  hostIp: string;
  mtu: number;
  dns: { servers: string[]; options: string[]; search: string[] };
  hostGateways: string[];
}

/** What a container gets that says nothing itself. */
export interface ContainerConfigDefaults {
  logDriver: string;
  logOptions: Record<string, string>;
  ulimits: { name: string; soft: number; hard: number }[];
  init: boolean;
  initPath?: string;
  /** Bytes. */
  shmSize: number;
  /** Bytes that a container may write; 0 for as many as there is room for. */
  storageSize: number;
  ipcMode: string;
  cgroupnsMode?: string;
  /** Undefined: systemd where that runs a host of cgroups v2, else cgroupfs. */
  cgroupDriver?: CgroupDriver;
  cgroupParent?: string;
  cdiDirectories: string[];
  noNewPrivileges: boolean;
  /** A path, `unconfined` or `builtin`. */
  seccompProfile: string;
}
