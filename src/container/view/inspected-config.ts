import { MASKED_PATHS, READONLY_PATHS } from '#/oci/default-spec.ts';
import type { ContainerConfig, EndpointSettings, HostConfig } from '#/wire/generated.ts';
import { parseSecurityOptions } from '../create/security-options.ts';

/**
 * Configurations as `inspect` shows them: every field that Go's structures always write is there, with its zero value where nothing
 * was asked for, because clients read them without looking whether they are there (moby's api/types/container).
 */
export function inspectedConfig(config: ContainerConfig): ContainerConfig {
  return {
    ...CONFIG,
    ...given(config),
    Volumes: nullIfEmpty(config.Volumes),
    Entrypoint: config.Entrypoint?.length ? config.Entrypoint : null,
    ExposedPorts: nullIfEmpty(config.ExposedPorts) ?? undefined,
    Labels: config.Labels ?? {},
  } as ContainerConfig;
}

export function inspectedHostConfig(
  host: HostConfig,
  { runtime, cgroupVersion }: { runtime: string; cgroupVersion: 1 | 2 },
): HostConfig {
  const open =
    (host.Privileged ?? false) || parseSecurityOptions(host.SecurityOpt ?? []).systemPathsUnconfined;
  return {
    ...HOST_CONFIG,
    ...given(host),
    Runtime: runtime,
    // How clients say "none".
    PidsLimit: host.PidsLimit || null,
    MemorySwappiness: host.MemorySwappiness === -1 ? null : (host.MemorySwappiness ?? null),
    IpcMode: host.IpcMode || 'private',
    CgroupnsMode: host.CgroupnsMode || (cgroupVersion === 2 ? 'private' : 'host'),
    MaskedPaths: host.MaskedPaths ?? (open ? null : [...MASKED_PATHS]),
    ReadonlyPaths: host.ReadonlyPaths ?? (open ? null : [...READONLY_PATHS]),
  } as HostConfig;
}

export function inspectedEndpoint(settings: EndpointSettings): EndpointSettings {
  return { ...ENDPOINT, ...given(settings) } as EndpointSettings;
}

/** Without what is null or undefined, so that it does not hide a zero value. */
function given<T extends object>(values: T): Partial<T> {
  const entries = Object.entries(values).filter(([, value]) => value !== undefined && value !== null);
  return Object.fromEntries(entries) as Partial<T>;
}

function nullIfEmpty<T extends object>(value: T | null | undefined): T | null {
  return value && Object.keys(value).length > 0 ? value : null;
}

const ENDPOINT = {
  IPAMConfig: null,
  Links: null,
  Aliases: null,
  MacAddress: '',
  DriverOpts: null,
  GwPriority: 0,
  NetworkID: '',
  EndpointID: '',
  Gateway: '',
  IPAddress: '',
  IPPrefixLen: 0,
  IPv6Gateway: '',
  GlobalIPv6Address: '',
  GlobalIPv6PrefixLen: 0,
  DNSNames: null,
};

const CONFIG = {
  Hostname: '',
  Domainname: '',
  User: '',
  AttachStdin: false,
  AttachStdout: false,
  AttachStderr: false,
  Tty: false,
  OpenStdin: false,
  StdinOnce: false,
  Env: [],
  Cmd: null,
  Image: '',
  Volumes: null,
  WorkingDir: '',
  Entrypoint: null,
  OnBuild: null,
  Labels: {},
};

const HOST_CONFIG = {
  Binds: null,
  ContainerIDFile: '',
  LogConfig: { Type: 'json-file', Config: {} },
  NetworkMode: 'default',
  PortBindings: {},
  RestartPolicy: { Name: 'no', MaximumRetryCount: 0 },
  AutoRemove: false,
  VolumeDriver: '',
  VolumesFrom: null,
  ConsoleSize: [0, 0],
  CapAdd: null,
  CapDrop: null,
  CgroupnsMode: '',
  Dns: [],
  DnsOptions: [],
  DnsSearch: [],
  ExtraHosts: null,
  GroupAdd: null,
  IpcMode: '',
  Cgroup: '',
  Links: null,
  OomScoreAdj: 0,
  PidMode: '',
  Privileged: false,
  PublishAllPorts: false,
  ReadonlyRootfs: false,
  SecurityOpt: null,
  UTSMode: '',
  UsernsMode: '',
  ShmSize: 0,
  Runtime: '',
  Isolation: '',
  CpuShares: 0,
  Memory: 0,
  NanoCpus: 0,
  CgroupParent: '',
  BlkioWeight: 0,
  BlkioWeightDevice: [],
  BlkioDeviceReadBps: [],
  BlkioDeviceWriteBps: [],
  BlkioDeviceReadIOps: [],
  BlkioDeviceWriteIOps: [],
  CpuPeriod: 0,
  CpuQuota: 0,
  CpuRealtimePeriod: 0,
  CpuRealtimeRuntime: 0,
  CpusetCpus: '',
  CpusetMems: '',
  Devices: [],
  DeviceCgroupRules: null,
  DeviceRequests: null,
  MemoryReservation: 0,
  MemorySwap: 0,
  MemorySwappiness: null,
  OomKillDisable: false,
  PidsLimit: null,
  Ulimits: [],
  CpuCount: 0,
  CpuPercent: 0,
  IOMaximumIOps: 0,
  IOMaximumBandwidth: 0,
  MaskedPaths: null,
  ReadonlyPaths: null,
};
