import type { Command } from '../command.ts';
import { CLIENT_VERSION } from '../client-version.ts';
import { SHORT_FORMAT } from '../format/format-flag.ts';
import { binarySize } from '../format/units.ts';

/** What GET /info says, as far as it is shown. */
interface Info {
  ID?: string;
  Containers: number;
  ContainersRunning: number;
  ContainersPaused: number;
  ContainersStopped: number;
  Images: number;
  Driver: string;
  DriverStatus?: [string, string][] | null;
  Plugins?: Record<string, string[] | null>;
  LoggingDriver?: string;
  CgroupDriver?: string;
  CgroupVersion?: string;
  Swarm?: { LocalNodeState?: string };
  Runtimes?: Record<string, unknown>;
  DefaultRuntime?: string;
  InitBinary?: string;
  ContainerdCommit?: { ID?: string };
  RuncCommit?: { ID?: string };
  InitCommit?: { ID?: string };
  SecurityOptions?: string[] | null;
  KernelVersion?: string;
  OperatingSystem?: string;
  OSType?: string;
  Architecture?: string;
  NCPU?: number;
  MemTotal?: number;
  Name?: string;
  DockerRootDir?: string;
  Debug?: boolean;
  NFd?: number;
  NGoroutines?: number;
  SystemTime?: string;
  NEventsListener?: number;
  HttpProxy?: string;
  HttpsProxy?: string;
  NoProxy?: string;
  Labels?: string[] | null;
  ExperimentalBuild?: boolean;
  RegistryConfig?: {
    InsecureRegistryCIDRs?: string[] | null;
    IndexConfigs?: Record<string, { Secure: boolean; Name: string }> | null;
    Mirrors?: string[] | null;
  };
  LiveRestoreEnabled?: boolean;
  DefaultAddressPools?: { Base: string; Size: number }[] | null;
  FirewallBackend?: { Driver?: string };
  ProductLicense?: string;
  Warnings?: string[] | null;
  ServerVersion?: string;
}

export const command: Command = {
  usage: '[OPTIONS]',
  flags: SHORT_FORMAT,
  arguments: { min: 0, max: 0 },
  async run({ flags, client, terminal, context, debug }) {
    const format = flags.string('format');
    const clientInfo = { Debug: debug, Version: CLIENT_VERSION, Context: context };
    if (format !== '') {
      const info = await client.json<Info>('GET', '/info');
      const { printDocument } = await import('../format/print-document.ts');
      printDocument(terminal, format, { ...info, ClientInfo: clientInfo }, { type: 'system.dockerInfo' });
      return;
    }
    terminal.out(
      `Client:\n Version:    ${CLIENT_VERSION}\n Context:    ${context}\n Debug Mode: ${debug}\n\nServer:\n`,
    );
    const info = await client.json<Info>('GET', '/info');
    terminal.out(`${serverLines(info).join('\n')}\n\n`);
    for (const warning of info.Warnings ?? []) terminal.err(`${warning}\n`);
  },
};

function serverLines(info: Info): string[] {
  const lines: string[] = [];
  const line = (name: string, value: string | number | undefined, indent = 1): void => {
    lines.push(`${' '.repeat(indent)}${name}: ${value ?? ''}`);
  };
  const optional = (name: string, value: string | number | undefined): void => {
    if (value !== undefined && value !== '' && value !== 0) line(name, value);
  };
  line('Containers', info.Containers);
  line('Running', info.ContainersRunning ?? 0, 2);
  line('Paused', info.ContainersPaused ?? 0, 2);
  line('Stopped', info.ContainersStopped ?? 0, 2);
  line('Images', info.Images ?? 0);
  optional('Server Version', info.ServerVersion);
  optional('Storage Driver', info.Driver);
  for (const [name, value] of info.DriverStatus ?? []) line(name, value, 2);
  optional('Logging Driver', info.LoggingDriver);
  optional('Cgroup Driver', info.CgroupDriver);
  optional('Cgroup Version', info.CgroupVersion);
  lines.push(' Plugins:');
  for (const kind of ['Volume', 'Network', 'Authorization', 'Log']) {
    const plugins = info.Plugins?.[kind] ?? [];
    if (plugins.length > 0 || kind !== 'Authorization') line(kind, plugins.join(' '), 2);
  }
  line('Swarm', info.Swarm?.LocalNodeState ?? 'inactive');
  if (info.Runtimes && Object.keys(info.Runtimes).length > 0) {
    line('Runtimes', Object.keys(info.Runtimes).sort().join(' '));
    line('Default Runtime', info.DefaultRuntime);
  }
  if (info.OSType === 'linux') {
    line('Init Binary', info.InitBinary);
    line('containerd version', info.ContainerdCommit?.ID);
    line('runc version', info.RuncCommit?.ID);
    line('init version', info.InitCommit?.ID);
    lines.push(...securityLines(info.SecurityOptions ?? []));
  }
  optional('Kernel Version', info.KernelVersion);
  optional('Operating System', info.OperatingSystem);
  optional('OSType', info.OSType);
  optional('Architecture', info.Architecture);
  line('CPUs', info.NCPU);
  optional('Total Memory', binarySize(info.MemTotal ?? 0));
  optional('Name', info.Name);
  optional('ID', info.ID);
  optional('Docker Root Dir', info.DockerRootDir);
  line('Debug Mode', String(info.Debug ?? false));
  if (info.Debug) {
    line('File Descriptors', info.NFd, 2);
    line('Goroutines', info.NGoroutines, 2);
    line('System Time', info.SystemTime, 2);
    line('EventsListeners', info.NEventsListener, 2);
  }
  optional('HTTP Proxy', info.HttpProxy);
  optional('HTTPS Proxy', info.HttpsProxy);
  optional('No Proxy', info.NoProxy);
  if (info.Labels && info.Labels.length > 0)
    lines.push(' Labels:', ...info.Labels.map((label) => `  ${label}`));
  line('Experimental', String(info.ExperimentalBuild ?? false));
  lines.push(...registryLines(info));
  line('Live Restore Enabled', String(info.LiveRestoreEnabled ?? false));
  if (info.DefaultAddressPools && info.DefaultAddressPools.length > 0) {
    lines.push(' Default Address Pools:');
    for (const { Base, Size } of info.DefaultAddressPools) lines.push(`   Base: ${Base}, Size: ${Size}`);
  }
  optional('Product License', info.ProductLicense);
  optional('Firewall Backend', info.FirewallBackend?.Driver);
  return lines;
}

/** `name=seccomp,profile=default`: the name, and what else is said of it below. */
function securityLines(options: readonly string[]): string[] {
  if (options.length === 0) return [];
  const lines = [' Security Options:'];
  for (const option of options) {
    for (const part of option.split(',')) {
      const [key = '', value = ''] = part.split('=');
      if (key === 'name') lines.push(`  ${value}`);
      else lines.push(`   ${key === 'profile' ? 'Profile' : key}: ${value}`);
    }
  }
  return lines;
}

function registryLines({ RegistryConfig: config }: Info): string[] {
  if (!config) return [];
  const lines: string[] = [];
  const insecure = Object.values(config.IndexConfigs ?? {}).filter((index) => !index.Secure);
  const cidrs = config.InsecureRegistryCIDRs ?? [];
  if (insecure.length > 0 || cidrs.length > 0) {
    lines.push(
      ' Insecure Registries:',
      ...insecure.map(({ Name }) => `  ${Name}`),
      ...cidrs.map((cidr) => `  ${cidr}`),
    );
  }
  const mirrors = config.Mirrors ?? [];
  if (mirrors.length > 0) lines.push(' Registry Mirrors:', ...mirrors.map((mirror) => `  ${mirror}`));
  return lines;
}
