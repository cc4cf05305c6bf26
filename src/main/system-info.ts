import { readdirSync, readFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { nowTimestamp } from '#/base/time.ts';
import type { Containers } from '#/container/containers.ts';
import type { ContainerDefaults } from '#/container/context.ts';
import { LOG_DRIVERS } from '#/container/logs/log-drivers.ts';
import type { CgroupSupport } from '#/host/cgroup-support.ts';
import { listMounts } from '#/host/mounts.ts';
import type { RegistryServiceConfig, SystemInfo } from '#/wire/generated.ts';
import { knownVerdict } from '#/runtime/microvm/microvm-host.ts';
import { VM_RUNTIME, vmDirectory } from './open-runtimes.ts';
import type { DaemonConfig } from './daemon-config.ts';
import { infoWarnings } from './info-warnings.ts';
import type { ProgramVersion } from './program-version.ts';

export interface SystemInfoSources {
  id: string;
  containers: Containers;
  imageCount: number;
  dataRoot: string;
  storageDriver: string;
  /** Whether containers get user namespaces unless they opt out. */
  userNamespaces: boolean;
  cgroupVersion: 1 | 2;
  support: CgroupSupport;
  apparmor: boolean;
  /** Names of the devices that CDI files describe. */
  devices: readonly string[];
  volumeDrivers: string[];
  eventReaders: number;
  version: string;
  config: DaemonConfig;
  defaults: ContainerDefaults;
  runtimes: readonly string[];
  /** What the default runtime and the init say of themselves. */
  runtimeVersion: ProgramVersion | undefined;
  initVersion: ProgramVersion | undefined;
}

/** `GET /info`: what `docker info` prints and what clients look for before they decide what they can ask. */
export function systemInfo(sources: SystemInfoSources): SystemInfo {
  const states = sources.containers.all().map(({ record }) => record.state.status);
  const count = (...wanted: string[]): number => states.filter((state) => wanted.includes(state)).length;
  const { config, defaults, support } = sources;
  const ipForward = readFileSync('/proc/sys/net/ipv4/ip_forward', 'utf8').trim() === '1';
  return {
    ID: sources.id,
    Containers: states.length,
    ContainersRunning: count('running', 'restarting'),
    ContainersPaused: count('paused'),
    ContainersStopped: count('created', 'exited', 'dead', 'removing'),
    Images: sources.imageCount,
    Driver: sources.storageDriver,
    DriverStatus: [['Backing Filesystem', filesystemOf(sources.dataRoot)]],
    Plugins: {
      Volume: sources.volumeDrivers,
      Network: ['bridge', 'host', 'null'],
      Authorization: [],
      Log: [...LOG_DRIVERS],
    },
    MemoryLimit: support.memory,
    SwapLimit: support.swap,
    CpuCfsPeriod: support.cpuQuota,
    CpuCfsQuota: support.cpuQuota,
    CPUShares: support.cpuShares,
    CPUSet: support.cpuset,
    PidsLimit: support.pids,
    OomKillDisable: support.oomKillDisable,
    IPv4Forwarding: ipForward,
    Debug: config.debug,
    NFd: readdirSync('/proc/self/fd').length,
    // Node's nearest to a goroutine: what keeps its event loop turning.
    NGoroutines: process.getActiveResourcesInfo().length,
    SystemTime: nowTimestamp(),
    LoggingDriver: defaults.log.Type,
    CgroupDriver: defaults.cgroupDriver,
    CgroupVersion: String(sources.cgroupVersion),
    NEventsListener: sources.eventReaders,
    KernelVersion: os.release(),
    OperatingSystem: operatingSystem(),
    OSVersion: osRelease('VERSION_ID'),
    OSType: 'linux',
    Architecture: os.machine(),
    NCPU: os.availableParallelism(),
    MemTotal: os.totalmem(),
    IndexServerAddress: 'https://index.docker.io/v1/',
    RegistryConfig: registryConfig(config),
    HttpProxy: withoutCredentials(environment('HTTP_PROXY')),
    HttpsProxy: withoutCredentials(environment('HTTPS_PROXY')),
    NoProxy: environment('NO_PROXY'),
    Name: os.hostname(),
    Labels: config.labels,
    ExperimentalBuild: config.experimental,
    ServerVersion: sources.version,
    DockerRootDir: sources.dataRoot,
    Runtimes: Object.fromEntries(
      sources.runtimes.map((name) => [
        name,
        { path: config.runtimes[name]?.path ?? name, ...(name === VM_RUNTIME ? vmStatus(config) : {}) },
      ]),
    ),
    DefaultRuntime: defaults.runtime,
    Swarm: {
      NodeID: '',
      NodeAddr: '',
      LocalNodeState: 'inactive',
      ControlAvailable: false,
      Error: '',
      RemoteManagers: null,
    },
    LiveRestoreEnabled: config.liveRestore,
    Isolation: '',
    InitBinary: defaults.initPath === undefined ? '' : path.basename(defaults.initPath),
    ContainerdCommit: { ID: '' },
    RuncCommit: { ID: sources.runtimeVersion?.commit || 'N/A' },
    InitCommit: { ID: sources.initVersion?.commit || sources.initVersion?.version || 'N/A' },
    SecurityOptions: [
      ...(sources.apparmor ? ['name=apparmor'] : []),
      `name=seccomp,profile=${config.container.seccompProfile}`,
      ...(sources.userNamespaces ? ['name=userns'] : []),
      ...(config.container.noNewPrivileges ? ['name=no-new-privileges'] : []),
      ...(sources.cgroupVersion === 2 ? ['name=cgroupns'] : []),
    ],
    ProductLicense: 'Apache-2.0',
    CDISpecDirs: defaults.cdiDirectories,
    DiscoveredDevices: sources.devices.map((name) => ({ Source: 'cdi', ID: name })),
    FirewallBackend: { Driver: 'nftables' },
    ...addressPools(config),
    Warnings: infoWarnings({ support, cgroupVersion: sources.cgroupVersion, ipForward, config }),
  };
}

/** How microVMs run here, as far as one has run. */
function vmStatus({ dataRoot, vm }: DaemonConfig): { status: Record<string, string> } {
  const known = vm.accelerator === 'auto' ? knownVerdict(vmDirectory(dataRoot)) : undefined;
  return {
    status: {
      accelerator: known?.accelerator ?? vm.accelerator,
      ...(known === undefined ? {} : { reason: known.reason }),
    },
  };
}

/** Insecure registries are networks or names (moby's registry/config.go). */
function registryConfig({ insecureRegistries, registryMirrors }: DaemonConfig): RegistryServiceConfig {
  const networks = insecureRegistries.filter((entry) => /^[\d.:a-fA-F]+\/\d+$/.test(entry));
  const names = insecureRegistries.filter((entry) => !networks.includes(entry));
  const mirrors = registryMirrors.map((url) => (url.endsWith('/') ? url : `${url}/`));
  return {
    InsecureRegistryCIDRs: [...new Set([...networks, '::1/128', '127.0.0.0/8'])],
    IndexConfigs: {
      'docker.io': { Name: 'docker.io', Mirrors: mirrors, Secure: true, Official: true },
      ...Object.fromEntries(
        names.map((name) => [name, { Name: name, Mirrors: [], Secure: false, Official: false }]),
      ),
    },
    Mirrors: mirrors,
  };
}

function addressPools({ network }: DaemonConfig): Pick<SystemInfo, 'DefaultAddressPools'> {
  if (network.defaultAddressPools === undefined) return {};
  return {
    DefaultAddressPools: network.defaultAddressPools.map(({ base, size }) => ({ Base: base, Size: size })),
  };
}

function environment(name: string): string {
  return process.env[name] || process.env[name.toLowerCase()] || '';
}

/** Names and passwords in a proxy's URL are nobody's business (moby's daemon/config/config.go, MaskCredentials). */
function withoutCredentials(url: string): string {
  return url.replace(/^(\w+:\/\/)[^/@]*@/, '$1xxxxx:xxxxx@');
}

function operatingSystem(): string {
  return osRelease('PRETTY_NAME') || 'Linux';
}

/** A value of os-release(5). */
function osRelease(key: string): string {
  try {
    const text = readFileSync('/etc/os-release', 'utf8');
    return new RegExp(`^${key}="?([^"\n]*)"?$`, 'm').exec(text)?.[1] ?? '';
  } catch {
    return '';
  }
}

/** The type of the filesystem that a path is on: that of the longest mount point above it. */
function filesystemOf(directory: string): string {
  const above = listMounts().filter(
    ({ target }) => target === '/' || directory === target || directory.startsWith(`${target}/`),
  );
  return above.toSorted((a, b) => b.target.length - a.target.length)[0]?.type ?? '';
}
