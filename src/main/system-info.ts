import { readFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { nowTimestamp } from '#/base/time.ts';
import type { Containers } from '#/container/containers.ts';
import type { ContainerDefaults } from '#/container/context.ts';
import { listMounts } from '#/host/mounts.ts';
import type { SystemInfo } from '#/wire/generated.ts';
import type { DaemonConfig } from './daemon-config.ts';

export interface SystemInfoSources {
  id: string;
  containers: Containers;
  imageCount: number;
  dataRoot: string;
  storageDriver: string;
  cgroupVersion: 1 | 2;
  swapLimit: boolean;
  volumeDrivers: string[];
  eventReaders: number;
  version: string;
  config: DaemonConfig;
  defaults: ContainerDefaults;
  runtimes: readonly string[];
}

/** `GET /info`: what `docker info` prints and what clients look for before they decide what they can ask. */
export function systemInfo(sources: SystemInfoSources): SystemInfo {
  const states = sources.containers.all().map(({ record }) => record.state.status);
  const count = (...wanted: string[]): number => states.filter((state) => wanted.includes(state)).length;
  const { config, defaults } = sources;
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
      Log: ['json-file', 'none'],
    },
    MemoryLimit: true,
    SwapLimit: sources.swapLimit,
    CpuCfsPeriod: true,
    CpuCfsQuota: true,
    CPUShares: true,
    CPUSet: true,
    PidsLimit: true,
    OomKillDisable: sources.cgroupVersion === 1,
    IPv4Forwarding: readFileSync('/proc/sys/net/ipv4/ip_forward', 'utf8').trim() === '1',
    Debug: config.debug,
    NFd: 0,
    NGoroutines: 0,
    SystemTime: nowTimestamp(),
    LoggingDriver: defaults.logDriver,
    CgroupDriver: 'cgroupfs',
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
    RegistryConfig: {
      InsecureRegistryCIDRs: ['::1/128', '127.0.0.0/8'],
      IndexConfigs: {
        'docker.io': { Name: 'docker.io', Mirrors: config.registryMirrors, Secure: true, Official: true },
        ...Object.fromEntries(
          config.insecureRegistries.map((name) => [
            name,
            { Name: name, Mirrors: [], Secure: false, Official: false },
          ]),
        ),
      },
      Mirrors: config.registryMirrors,
    },
    HttpProxy: process.env['HTTP_PROXY'] ?? '',
    HttpsProxy: process.env['HTTPS_PROXY'] ?? '',
    NoProxy: process.env['NO_PROXY'] ?? '',
    Name: os.hostname(),
    Labels: config.labels,
    ExperimentalBuild: false,
    ServerVersion: sources.version,
    DockerRootDir: sources.dataRoot,
    Runtimes: Object.fromEntries(
      sources.runtimes.map((name) => [name, { path: config.runtimes[name]?.path ?? name }]),
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
    LiveRestoreEnabled: true,
    Isolation: '',
    InitBinary: defaults.initPath === undefined ? '' : path.basename(defaults.initPath),
    ContainerdCommit: { ID: '' },
    RuncCommit: { ID: '' },
    InitCommit: { ID: '' },
    SecurityOptions: [
      'name=seccomp,profile=builtin',
      ...(sources.cgroupVersion === 2 ? ['name=cgroupns'] : []),
    ],
    ProductLicense: 'Apache-2.0',
    CDISpecDirs: [],
    Warnings: sources.swapLimit ? [] : ['WARNING: No swap limit support'],
  };
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
