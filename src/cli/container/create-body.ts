import { resolve } from 'node:path';
import type { FlagSet } from '../flags/flag-set.ts';
import { keyValueMap, readKeyValueFile, replaceVariables } from '../flags/key-values.ts';
import {
  checkDevice,
  type DeviceRequest,
  isCdiName,
  parseDevice,
  parseGpus,
  parseThrottleDevice,
  parseWeightDevice,
} from './device-option.ts';
import { endpoints, networkOptions } from './endpoints.ts';
import { type MountOption, parseMount } from './mount-option.ts';
import { type PortBinding, parseExpose, parsePublish } from './port-spec.ts';
import { parseRestartPolicy, parseUlimit, type Ulimit } from './resource-options.ts';
import { parseSecurityOptions } from './security-option.ts';

export interface CreateBody extends Record<string, unknown> {
  Image: string;
  AttachStdin: boolean;
  AttachStdout: boolean;
  AttachStderr: boolean;
  Tty: boolean;
  OpenStdin: boolean;
  HostConfig: Record<string, unknown>;
}

interface Surroundings {
  env: Record<string, string | undefined>;
  cwd: string;
  /** Rows and columns of the caller's terminal, zeros without one: the size that a container's begins with. */
  consoleSize?: readonly [number, number];
  /** The daemon's, as the client reaches it. */
  host?: string;
  /** Variables of the user's configuration. */
  proxies?: readonly string[];
}

/**
 * The body of POST /containers/create for one command line: the same document that Docker's own client sends, empty values
 * included, so that a daemon cannot tell the two apart.
 */
export function createBody(flags: FlagSet, args: readonly string[], around: Surroundings): CreateBody {
  checkTogether(flags);
  const attach = flags.list('attach');
  const interactive = flags.bool('interactive');
  const attachAll = attach.length === 0 && !flags.bool('detach');
  const [image = '', ...command] = args;
  const volumes = parseVolumes(flags.list('volume'), around.cwd);
  const ports = parsePublish(flags.list('publish'));
  const exposed = exposedPorts(flags, ports);
  const attachStdin = attach.includes('stdin') || (!flags.bool('detach') && interactive);
  const health = healthcheck(flags);
  return {
    Hostname: flags.string('hostname'),
    Domainname: flags.string('domainname'),
    User: flags.string('user'),
    AttachStdin: attachStdin,
    AttachStdout: attachAll || attach.includes('stdout'),
    AttachStderr: attachAll || attach.includes('stderr'),
    ...(exposed && { ExposedPorts: exposed }),
    Tty: flags.bool('tty'),
    OpenStdin: interactive,
    StdinOnce: interactive && attachStdin,
    Env: environment(flags, around),
    Cmd: command.length > 0 ? command : null,
    ...(health && { Healthcheck: health }),
    Image: image,
    Volumes: volumes.anonymous,
    WorkingDir: flags.string('workdir'),
    Entrypoint: flags.changed('entrypoint') ? [flags.string('entrypoint')] : null,
    OnBuild: null,
    Labels: labels(flags),
    ...(flags.changed('stop-signal') && { StopSignal: flags.string('stop-signal') }),
    ...(flags.changed('stop-timeout') && { StopTimeout: flags.number('stop-timeout') }),
    HostConfig: hostConfig(flags, volumes.binds, ports, around),
    NetworkingConfig: { EndpointsConfig: endpoints(flags) },
  };
}

function hostConfig(
  flags: FlagSet,
  binds: string[],
  ports: Record<string, PortBinding[]>,
  { cwd, consoleSize = [0, 0], host = '' }: Surroundings,
): Record<string, unknown> {
  const list = (name: string): string[] | null => (flags.changed(name) ? flags.list(name) : null);
  const throttled = (name: string, unit: 'bps' | 'iops'): unknown[] =>
    flags.list(name).map((value) => parseThrottleDevice(value, unit));
  const annotations = keyValueMap(flags.list('annotation'));
  const mounts = flags.list('mount').map((value) => parseMount(value, cwd));
  if (flags.bool('use-api-socket')) mounts.push(apiSocketMount(host));
  const tmpfs = tmpfsMap(flags.list('tmpfs'));
  const sysctls = keyValueMap(flags.list('sysctl'));
  const devices = flags.list('device');
  return {
    Binds: binds.length > 0 ? binds : null,
    ContainerIDFile: flags.string('cidfile'),
    LogConfig: { Type: flags.string('log-driver'), Config: loggingOptions(flags) },
    NetworkMode: networkOptions(flags)[0]?.name ?? 'default',
    PortBindings: ports,
    RestartPolicy: parseRestartPolicy(flags.string('restart', 'no')),
    AutoRemove: flags.bool('rm'),
    VolumeDriver: flags.string('volume-driver'),
    VolumesFrom: list('volumes-from'),
    ConsoleSize: consoleSize,
    ...(Object.keys(annotations).length > 0 && { Annotations: annotations }),
    CapAdd: capabilities(list('cap-add')),
    CapDrop: capabilities(list('cap-drop')),
    CgroupnsMode: flags.string('cgroupns'),
    Dns: flags.list('dns'),
    DnsOptions: [...flags.list('dns-option'), ...flags.list('dns-opt')],
    DnsSearch: flags.list('dns-search'),
    ExtraHosts: list('add-host'),
    GroupAdd: list('group-add'),
    IpcMode: flags.string('ipc'),
    Cgroup: '',
    Links: list('link'),
    OomScoreAdj: flags.number('oom-score-adj'),
    PidMode: flags.string('pid'),
    Privileged: flags.bool('privileged'),
    PublishAllPorts: flags.bool('publish-all'),
    ReadonlyRootfs: flags.bool('read-only'),
    ...parseSecurityOptions(flags.list('security-opt')),
    ...(flags.changed('storage-opt') && { StorageOpt: storageOptions(flags.list('storage-opt')) }),
    ...(Object.keys(tmpfs).length > 0 && { Tmpfs: tmpfs }),
    UTSMode: flags.string('uts'),
    UsernsMode: flags.string('userns'),
    ShmSize: flags.number('shm-size'),
    ...(Object.keys(sysctls).length > 0 && { Sysctls: sysctls }),
    ...(flags.changed('runtime') && { Runtime: flags.string('runtime') }),
    Isolation: flags.string('isolation'),
    CpuShares: flags.number('cpu-shares'),
    Memory: flags.number('memory'),
    NanoCpus: flags.number('cpus'),
    CgroupParent: flags.string('cgroup-parent'),
    BlkioWeight: flags.number('blkio-weight'),
    BlkioWeightDevice: flags.list('blkio-weight-device').map(parseWeightDevice),
    BlkioDeviceReadBps: throttled('device-read-bps', 'bps'),
    BlkioDeviceWriteBps: throttled('device-write-bps', 'bps'),
    BlkioDeviceReadIOps: throttled('device-read-iops', 'iops'),
    BlkioDeviceWriteIOps: throttled('device-write-iops', 'iops'),
    CpuPeriod: flags.number('cpu-period'),
    CpuQuota: flags.number('cpu-quota'),
    CpuRealtimePeriod: flags.number('cpu-rt-period'),
    CpuRealtimeRuntime: flags.number('cpu-rt-runtime'),
    CpusetCpus: flags.string('cpuset-cpus'),
    CpusetMems: flags.string('cpuset-mems'),
    Devices: devices.filter((device) => !isCdiName(device)).map((device) => parseDevice(checkDevice(device))),
    DeviceCgroupRules: list('device-cgroup-rule'),
    DeviceRequests: deviceRequests(flags.list('gpus'), devices.filter(isCdiName)),
    MemoryReservation: flags.number('memory-reservation'),
    MemorySwap: flags.number('memory-swap'),
    MemorySwappiness: flags.number('memory-swappiness', -1),
    OomKillDisable: flags.bool('oom-kill-disable'),
    PidsLimit: flags.number('pids-limit'),
    Ulimits: ulimits(flags.list('ulimit')),
    CpuCount: flags.number('cpu-count'),
    CpuPercent: flags.number('cpu-percent'),
    IOMaximumIOps: flags.number('io-maxiops'),
    IOMaximumBandwidth: flags.number('io-maxbandwidth'),
    ...(mounts.length > 0 && { Mounts: mounts }),
    ...(flags.changed('init') && { Init: flags.bool('init') }),
  };
}

/** In the order of names; the last of a name counts. */
function ulimits(values: readonly string[]): Ulimit[] {
  const byName = new Map(values.map(parseUlimit).map((limit) => [limit.Name, limit]));
  return [...byName.values()].sort((a, b) => (a.Name < b.Name ? -1 : 1));
}

/** What single flags cannot refuse. */
function checkTogether(flags: FlagSet): void {
  const pull = flags.string('pull');
  if (!['always', 'missing', 'never', ''].includes(pull)) {
    throw new Error(`invalid pull option: '${pull}': must be one of "always", "missing" or "never"`);
  }
  if (!flags.bool('disable-content-trust', true)) {
    throw new Error('--disable-content-trust=false: hull verifies no signatures');
  }
  const swappiness = flags.number('memory-swappiness', -1);
  if (swappiness !== -1 && (swappiness < 0 || swappiness > 100)) {
    throw new Error(`invalid value: ${swappiness}. Valid memory swappiness range is 0-100`);
  }
  const modes: [string, RegExp, string][] = [
    ['pid', /^(?:host|container:.+)?$/, 'PID'],
    ['uts', /^(?:host)?$/, 'UTS'],
    ['userns', /^(?:host|private)?$/, 'USER'],
    ['cgroupns', /^(?:host|private)?$/, 'CGROUP'],
  ];
  for (const [name, valid, word] of modes) {
    if (!valid.test(flags.string(name))) throw new Error(`--${name}: invalid ${word} mode`);
  }
  if (flags.bool('rm') && !['no', ''].includes(flags.string('restart'))) {
    throw new Error('conflicting options: cannot specify both --restart and --rm');
  }
}

function environment(flags: FlagSet, { env, proxies = [] }: Surroundings): string[] | null {
  const fromFiles = flags.list('env-file').flatMap((file) => readKeyValueFile(file, env));
  const all = [...fromFiles, ...replaceVariables(flags.list('env')), ...proxies];
  return all.length > 0 ? all : null;
}

function labels(flags: FlagSet): Record<string, string> {
  const fromFiles = flags.list('label-file').flatMap((file) => readKeyValueFile(file));
  return keyValueMap([...fromFiles, ...flags.list('label')]);
}

function loggingOptions(flags: FlagSet): Record<string, string> {
  const options = keyValueMap(flags.list('log-opt'));
  const driver = flags.string('log-driver');
  if (driver === 'none' && Object.keys(options).length > 0) {
    throw new Error(`invalid logging opts for driver ${driver}`);
  }
  return options;
}

function storageOptions(values: readonly string[]): Record<string, string> {
  if (values.some((value) => !value.includes('='))) throw new Error('invalid storage option');
  return keyValueMap(values);
}

/** Binds as the API takes them, and the anonymous volumes, which have no source. */
function parseVolumes(
  values: readonly string[],
  cwd: string,
): { binds: string[]; anonymous: Record<string, object> } {
  const binds: string[] = [];
  const anonymous: Record<string, object> = {};
  for (const value of new Set(values)) {
    if (value === '') throw new Error('invalid empty volume spec');
    // One letter and a colon is a drive, not a source: Docker's client reads volumes so on every platform.
    const colon = /^[A-Za-z]:/.test(value) ? value.indexOf(':', 2) : value.indexOf(':');
    // Docker's client reads two characters as a path, whatever they are.
    if (colon === -1 || value.length <= 2) {
      anonymous[value] = {};
      continue;
    }
    if (/^:|:$/.test(value) && !/^[^:]+:$/.test(value)) {
      throw new Error(`invalid spec: ${value}: empty section between colons`);
    }
    const source = value.slice(0, colon);
    if (source.startsWith('.')) binds.push(resolve(cwd, source) + value.slice(colon));
    else binds.push(value);
  }
  return { binds, anonymous };
}

function tmpfsMap(values: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    values.map((value) => {
      const colon = value.indexOf(':');
      return colon === -1 ? [value, ''] : [value.slice(0, colon), value.slice(colon + 1)];
    }),
  );
}

function exposedPorts(
  flags: FlagSet,
  published: Record<string, PortBinding[]>,
): Record<string, object> | undefined {
  const ports = [...Object.keys(published), ...flags.list('expose').flatMap(parseExpose)];
  return ports.length > 0 ? Object.fromEntries(ports.map((port) => [port, {}])) : undefined;
}

/** `--use-api-socket`: where programs in the container look for a daemon, they find the one that runs them. */
function apiSocketMount(host: string): MountOption {
  if (!host.startsWith('unix://')) {
    throw new Error(
      `flag --use-api-socket can only be used with unix sockets: docker endpoint ${host} incompatible`,
    );
  }
  const source = host.slice('unix://'.length);
  return { Type: 'bind', Source: source, Target: '/var/run/docker.sock', BindOptions: {} };
}

/** Capabilities under their full names, each once, in order: `ALL`, `CAP_NET_RAW`. */
function capabilities(names: string[] | null): string[] | null {
  if (names === null) return null;
  const full = names.map((name) => {
    const upper = name.trim().toUpperCase();
    return upper === 'ALL' || upper.startsWith('CAP_') ? upper : `CAP_${upper}`;
  });
  return [...new Set(full)].sort();
}

function deviceRequests(gpus: readonly string[], cdi: string[]): DeviceRequest[] | null {
  const requests = gpus.map(parseGpus);
  if (cdi.length > 0) {
    requests.push({ Driver: 'cdi', Count: 0, DeviceIDs: cdi, Capabilities: null, Options: null });
  }
  return requests.length > 0 ? requests : null;
}

function healthcheck(flags: FlagSet): Record<string, unknown> | undefined {
  const changed = ['cmd', 'interval', 'retries', 'start-period', 'start-interval', 'timeout'].some((name) =>
    flags.changed(`health-${name}`),
  );
  if (flags.bool('no-healthcheck')) {
    if (changed) throw new Error('--no-healthcheck conflicts with --health-* options');
    return { Test: ['NONE'] };
  }
  if (!changed) return undefined;
  const health: Record<string, unknown> = {};
  if (flags.string('health-cmd') !== '') health['Test'] = ['CMD-SHELL', flags.string('health-cmd')];
  const numbers: [string, string][] = [
    ['health-interval', 'Interval'],
    ['health-timeout', 'Timeout'],
    ['health-start-period', 'StartPeriod'],
    ['health-start-interval', 'StartInterval'],
    ['health-retries', 'Retries'],
  ];
  for (const [flag, field] of numbers) {
    const value = flags.number(flag);
    if (value < 0) throw new Error(`--${flag} cannot be negative`);
    if (value > 0) health[field] = value;
  }
  return health;
}
