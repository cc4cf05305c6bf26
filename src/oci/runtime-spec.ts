/**
 * The OCI runtime specification's config.json (1.0.2 and the fields of 1.1 that crun and runc know), Linux only. Field names and
 * units are the specification's.
 */
export interface RuntimeSpec {
  ociVersion: string;
  hostname?: string;
  domainname?: string;
  process: RuntimeProcess;
  root: { path: string; readonly?: boolean };
  mounts: RuntimeMount[];
  hooks?: RuntimeHooks;
  annotations?: Record<string, string>;
  linux: RuntimeLinux;
}

export interface RuntimeProcess {
  terminal?: boolean;
  consoleSize?: { height: number; width: number };
  user: RuntimeUser;
  args: string[];
  env?: string[];
  /** Absolute. */
  cwd: string;
  capabilities?: RuntimeCapabilities;
  rlimits?: RuntimeRlimit[];
  noNewPrivileges?: boolean;
  apparmorProfile?: string;
  selinuxLabel?: string;
  oomScoreAdj?: number;
}

export interface RuntimeUser {
  uid: number;
  gid: number;
  umask?: number;
  additionalGids?: number[];
}

export interface RuntimeCapabilities {
  bounding?: string[];
  effective?: string[];
  inheritable?: string[];
  permitted?: string[];
  ambient?: string[];
}

export interface RuntimeRlimit {
  /** `RLIMIT_NOFILE` and the like. */
  type: string;
  hard: number;
  soft: number;
}

export interface RuntimeMount {
  destination: string;
  type?: string;
  source?: string;
  options?: string[];
}

export interface RuntimeHook {
  path: string;
  args?: string[];
  env?: string[];
  /** Seconds. */
  timeout?: number;
}

export interface RuntimeHooks {
  prestart?: RuntimeHook[];
  createRuntime?: RuntimeHook[];
  createContainer?: RuntimeHook[];
  startContainer?: RuntimeHook[];
  poststart?: RuntimeHook[];
  poststop?: RuntimeHook[];
}

export type NamespaceType = 'pid' | 'network' | 'mount' | 'ipc' | 'uts' | 'user' | 'cgroup' | 'time';

export interface RuntimeNamespace {
  type: NamespaceType;
  /** An existing namespace's file; a new namespace without it. */
  path?: string;
}

export interface RuntimeIdMapping {
  containerID: number;
  hostID: number;
  size: number;
}

export interface RuntimeLinux {
  namespaces: RuntimeNamespace[];
  uidMappings?: RuntimeIdMapping[];
  gidMappings?: RuntimeIdMapping[];
  devices?: RuntimeDevice[];
  /** Absolute below the hierarchies' roots (cgroupfs manner). */
  cgroupsPath?: string;
  resources?: RuntimeResources;
  rootfsPropagation?: string;
  seccomp?: RuntimeSeccomp;
  sysctl?: Record<string, string>;
  maskedPaths?: string[];
  readonlyPaths?: string[];
  mountLabel?: string;
}

export interface RuntimeDevice {
  type: 'c' | 'b' | 'u' | 'p';
  path: string;
  major?: number;
  minor?: number;
  fileMode?: number;
  uid?: number;
  gid?: number;
}

export interface RuntimeDeviceRule {
  allow: boolean;
  type?: 'a' | 'c' | 'b';
  major?: number;
  minor?: number;
  /** Of the letters r, w and m. */
  access?: string;
}

export interface RuntimeResources {
  devices?: RuntimeDeviceRule[];
  memory?: RuntimeMemory;
  cpu?: RuntimeCpu;
  pids?: { limit: number };
  blockIO?: RuntimeBlockIo;
  hugepageLimits?: { pageSize: string; limit: number }[];
  /** Raw cgroup v2 files. */
  unified?: Record<string, string>;
}

/** Bytes; -1 for no limit. */
export interface RuntimeMemory {
  limit?: number;
  reservation?: number;
  /** Memory plus swap, as cgroup v1 counts. */
  swap?: number;
  kernel?: number;
  kernelTCP?: number;
  /** 0 to 100. */
  swappiness?: number;
  disableOOMKiller?: boolean;
}

export interface RuntimeCpu {
  shares?: number;
  /** Microseconds in each `period`; -1 for no limit. */
  quota?: number;
  period?: number;
  realtimeRuntime?: number;
  realtimePeriod?: number;
  cpus?: string;
  mems?: string;
}

export interface RuntimeBlockIo {
  weight?: number;
  weightDevice?: { major: number; minor: number; weight?: number }[];
  throttleReadBpsDevice?: RuntimeThrottle[];
  throttleWriteBpsDevice?: RuntimeThrottle[];
  throttleReadIOPSDevice?: RuntimeThrottle[];
  throttleWriteIOPSDevice?: RuntimeThrottle[];
}

export interface RuntimeThrottle {
  major: number;
  minor: number;
  rate: number;
}

export interface RuntimeSeccomp {
  defaultAction: string;
  defaultErrnoRet?: number;
  architectures?: string[];
  flags?: string[];
  listenerPath?: string;
  listenerMetadata?: string;
  syscalls?: RuntimeSyscallRule[];
}

export interface RuntimeSyscallRule {
  names: string[];
  action: string;
  errnoRet?: number;
  args?: RuntimeSyscallArgument[];
}

export interface RuntimeSyscallArgument {
  index: number;
  value: number;
  valueTwo?: number;
  op: string;
}
