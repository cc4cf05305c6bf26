import { isIP } from 'node:net';
import path from 'node:path';
import { messageOf } from '#/base/errors.ts';
import type { LogLevel } from '#/base/log.ts';
import type { FlagSet } from '#/cli/flags/flag-set.ts';
import type { CgroupDriver } from '#/container/create/cgroup-parent.ts';
import { parseMemorySize } from '#/cli/flags/scalar.ts';
import { checkLogOptions, type LogConfig } from '#/container/logs/log-drivers.ts';
import { readSettings, type Setting, settingText } from './config-file.ts';
import type {
  ContainerConfigDefaults,
  DaemonConfig,
  NetworkConfig,
  RuntimeConfig,
  TlsConfig,
  VmConfig,
} from './daemon-config.ts';
import { flagsWithoutEffect } from './daemon-flags.ts';

const DEFAULT_CONFIG_FILE = '/etc/hull/daemon.json';
const DEFAULT_DATA_ROOT = '/var/lib/hull';
const DEFAULT_EXEC_ROOT = '/run/hull';
const DEFAULT_CDI_DIRECTORIES = ['/etc/cdi', '/var/run/cdi'];
const MIB = 2 ** 20;
const SMALLEST_GUEST = 256 * MIB;
const LOG_LEVELS: readonly string[] = ['debug', 'info', 'warn', 'error', 'fatal'];

/** Reads the file that the flags name and puts both together. Throws in dockerd's words. */
export function readConfig(flags: FlagSet): DaemonConfig {
  const configFile = flags.string('config-file', DEFAULT_CONFIG_FILE);
  const { settings, withoutEffect } = readSettings(flags, configFile, flags.changed('config-file'));
  const values = new Settings(settings);
  const dataRoot = path.resolve(values.text('data-root') ?? DEFAULT_DATA_ROOT);
  const execRoot = path.resolve(values.text('exec-root') ?? DEFAULT_EXEC_ROOT);
  const debug = values.flag('debug', false);
  const hosts = values.list('hosts');
  return {
    configFile,
    dataRoot,
    execRoot,
    hosts: hosts.length > 0 ? hosts : [`unix://${execRoot}/hull.sock`],
    pidfile: path.resolve(values.text('pidfile') ?? path.join(execRoot, 'hulld.pid')),
    debug,
    experimental: values.flag('experimental', false),
    logLevel: debug ? 'debug' : logLevel(values.text('log-level') ?? 'info'),
    labels: daemonLabels(values.list('labels')),
    liveRestore: values.flag('live-restore', true),
    shutdownTimeout: values.number('shutdown-timeout', 15),
    registryMirrors: values.list('registry-mirrors'),
    insecureRegistries: values.list('insecure-registries'),
    runtimes: runtimes(values.map('runtimes')),
    vm: vmConfig(values),
    network: networkConfig(values),
    container: containerDefaults(values),
    tlsSaid: values.raw('tls') !== undefined || values.raw('tlsverify') !== undefined,
    withoutEffect: [
      ...withoutEffect,
      ...flagsWithoutEffect(flags),
      ...unknownExecOptions(values.list('exec-opts')),
    ],
    ...defined({
      group: values.text('group'),
      metricsAddress: values.text('metrics-addr'),
      tls: tlsConfig(values),
      storageDriver: values.text('storage-driver'),
      usernsRemap: values.text('userns-remap'),
      defaultRuntime: values.text('default-runtime'),
    }),
  };
}

/** Settings by the file's keys, each read as the type it must have. */
class Settings {
  readonly #settings: ReadonlyMap<string, Setting>;

  constructor(settings: ReadonlyMap<string, Setting>) {
    this.#settings = settings;
  }

  text(key: string): string | undefined {
    const value = this.#settings.get(key);
    return value === undefined || value === '' || typeof value === 'object' ? undefined : String(value);
  }

  flag(key: string, absent: boolean): boolean {
    const value = this.#settings.get(key);
    return typeof value === 'boolean' ? value : absent;
  }

  number(key: string, absent: number): number {
    const value = this.#settings.get(key);
    return typeof value === 'number' ? value : absent;
  }

  list(key: string): string[] {
    const value = this.#settings.get(key);
    if (typeof value === 'string') return [value];
    return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : [];
  }

  /** A map of the file, or a flag's `key=value` list. */
  map(key: string): Record<string, Setting> {
    const value = this.#settings.get(key);
    if (Array.isArray(value)) {
      return Object.fromEntries(value.map((item) => splitPair(settingText(item))));
    }
    return typeof value === 'object' ? value : {};
  }

  raw(key: string): Setting | undefined {
    return this.#settings.get(key);
  }
}

function splitPair(pair: string): [string, string] {
  const at = pair.indexOf('=');
  return at < 0 ? [pair, ''] : [pair.slice(0, at), pair.slice(at + 1)];
}

function logLevel(text: string): LogLevel {
  if (!LOG_LEVELS.includes(text)) throw new Error(`invalid logging level: ${text}`);
  return text as LogLevel;
}

function daemonLabels(labels: string[]): string[] {
  for (const label of labels) {
    if (!/^[^=]+=/.test(label)) throw new Error(`bad attribute format: ${label}`);
  }
  return labels;
}

/** TLS means to verify clients unless that is declined, and a word about verifying means TLS (moby's daemon/command/daemon.go). */
function tlsConfig(values: Settings): TlsConfig | undefined {
  const verifySaid = values.raw('tlsverify') !== undefined;
  if (!verifySaid && !values.flag('tls', false)) return undefined;
  const verify = values.flag('tlsverify', true);
  const directory = process.env['DOCKER_CERT_PATH'] ?? '/etc/hull';
  return {
    verify,
    authority: values.text('tlscacert') ?? path.join(directory, 'ca.pem'),
    certificate: values.text('tlscert') ?? path.join(directory, 'cert.pem'),
    key: values.text('tlskey') ?? path.join(directory, 'key.pem'),
  };
}

function runtimes(map: Record<string, Setting>): Record<string, RuntimeConfig> {
  const entries = Object.entries(map).map(([name, value]): [string, RuntimeConfig] => {
    if (typeof value !== 'object' || Array.isArray(value) || typeof value['path'] !== 'string') {
      throw new Error(`runtime "${name}" needs a "path"`);
    }
    const args = value['runtimeArgs'];
    return [name, { path: value['path'], args: Array.isArray(args) ? args.map(settingText) : [] }];
  });
  return Object.fromEntries(entries);
}

function vmConfig(values: Settings): VmConfig {
  const accelerator = values.text('vm-accelerator') ?? 'auto';
  if (accelerator !== 'auto' && accelerator !== 'kvm' && accelerator !== 'tcg') {
    throw new Error(`invalid accelerator of microVMs: ${accelerator}`);
  }
  const memory = parseMemorySize(values.text('vm-memory') ?? '1g');
  if (memory < SMALLEST_GUEST || memory % MIB !== 0) {
    throw new Error(`invalid memory of microVMs: it is whole MiB, and at least ${SMALLEST_GUEST / MIB}`);
  }
  return {
    accelerator,
    memory,
    snapshots: values.flag('vm-snapshots', true),
    ...defined({ kernelDirectory: values.text('vm-kernel') }),
  };
}

function networkConfig(values: Settings): NetworkConfig {
  const pools = addressPools(values.raw('default-address-pools'));
  return {
    icc: values.flag('icc', true),
    iptables: values.flag('iptables', true),
    ipForward: values.flag('ip-forward', true),
    ipMasq: values.flag('ip-masq', true),
    hostGateways: hostGateways(values),
    hostIp: values.text('ip') ?? '0.0.0.0',
    mtu: values.number('mtu', 1500),
    dns: { servers: values.list('dns'), options: values.list('dns-opts'), search: values.list('dns-search') },
    ...defined({
      bridge: values.text('bridge'),
      bip: values.text('bip'),
      fixedCidr: values.text('fixed-cidr'),
      defaultGateway: values.text('default-gateway'),
      defaultAddressPools: pools.length > 0 ? pools : undefined,
    }),
  };
}

/** `base=10.10.0.0/16,size=24` of a flag, `{"base": …, "size": …}` of the file. */
function addressPools(value: Setting | undefined): { base: string; size: number }[] {
  if (!Array.isArray(value)) return [];
  return value.map((pool) => {
    const fields = typeof pool === 'string' ? Object.fromEntries(pool.split(',').map(splitPair)) : pool;
    const { base, size } = fields as { base?: string; size?: string | number };
    if (base === undefined || size === undefined || !Number.isInteger(Number(size))) {
      throw new Error(`invalid default address pool: ${JSON.stringify(pool)}`);
    }
    return { base, size: Number(size) };
  });
}

function containerDefaults(values: Settings): ContainerConfigDefaults {
  const logOptions = Object.entries(values.map('log-opts')).map(([key, value]) => [key, settingText(value)]);
  const log = {
    Type: values.text('log-driver') ?? 'json-file',
    Config: Object.fromEntries(logOptions) as Record<string, string>,
  };
  checkDefaultLog(log);
  return {
    logDriver: log.Type,
    logOptions: log.Config,
    ulimits: ulimits(values.raw('default-ulimits')),
    init: values.flag('init', false),
    shmSize: shmSize(values.raw('default-shm-size')),
    storageSize: storageSize(values.list('storage-opts'), values.text('storage-driver') ?? 'erofs'),
    ipcMode: defaultIpcMode(values.text('default-ipc-mode')),
    cdiDirectories: cdiDirectories(values),
    noNewPrivileges: values.flag('no-new-privileges', false),
    seccompProfile: values.text('seccomp-profile') || 'builtin',
    ...defined({
      initPath: values.text('init-path'),
      cgroupnsMode: defaultCgroupnsMode(values.text('default-cgroupns-mode')),
      cgroupDriver: cgroupDriver(values.list('exec-opts')),
      cgroupParent: values.text('cgroup-parent'),
    }),
  };
}

function defaultIpcMode(mode = 'private'): string {
  const hint = 'use "shareable" or "private"';
  if (mode === 'private' || mode === 'shareable') return mode;
  if (mode === 'host' || mode === 'none' || mode.startsWith('container:')) {
    throw new Error(`IPC mode "${mode}" is not supported as default value; ${hint}`);
  }
  throw new Error(`default IPC mode setting (${mode}) is invalid; ${hint}`);
}

const CGROUP_DRIVER = 'native.cgroupdriver';

function cgroupDriver(options: readonly string[]): CgroupDriver | undefined {
  const given = options.map(splitPair).find(([key]) => key.toLowerCase() === CGROUP_DRIVER)?.[1];
  if (given === undefined || given === '') return undefined;
  if (given !== 'cgroupfs' && given !== 'systemd') {
    throw new Error(`native.cgroupdriver option ${given} not supported`);
  }
  return given;
}

function unknownExecOptions(options: readonly string[]): string[] {
  const keys = options.map((option) => splitPair(option)[0]);
  return keys.filter((key) => key.toLowerCase() !== CGROUP_DRIVER).map((key) => `exec-opt ${key}`);
}

function defaultCgroupnsMode(mode: string | undefined): string | undefined {
  if (mode === undefined || mode === 'host' || mode === 'private') return mode;
  throw new Error(`default cgroup namespace mode (${mode}) is invalid; use "host" or "private"`);
}

/** At most one of each family (moby's daemon/config/config.go). */
function hostGateways(values: Settings): string[] {
  const addresses = values.list('host-gateway-ips');
  const old = values.text('host-gateway-ip');
  if (old !== undefined && addresses.length === 0) addresses.push(old);
  const families = addresses.map((address) => {
    const family = isIP(address);
    if (family === 0) throw new Error(`IP address is not correctly formatted: ${address}`);
    return family;
  });
  for (const family of [4, 6]) {
    if (families.filter((each) => each === family).length > 1) {
      throw new Error(`only one IPv${family} host gateway IP address can be specified`);
    }
  }
  return addresses;
}

/** One that is empty switches CDI off, as dockerd has it. */
function cdiDirectories(values: Settings): string[] {
  const given = values.list('cdi-spec-dirs');
  return (given.length > 0 ? given : DEFAULT_CDI_DIRECTORIES).filter((directory) => directory !== '');
}

function checkDefaultLog(log: LogConfig): void {
  try {
    checkLogOptions(log);
  } catch (error) {
    throw new Error(`failed to set log opts: ${messageOf(error)}`, { cause: error });
  }
}

function shmSize(value: Setting | undefined): number {
  if (typeof value === 'number') return value;
  return typeof value === 'string' ? parseMemorySize(value) : 64 * 1024 * 1024;
}

/** Docker's option of its driver overlay2, and the same of the drivers here. */
const STORAGE_SIZE = /^(?:(?:erofs|overlay2?|overlayfs)\.)?size$/i;

function storageSize(options: readonly string[], driver: string): number {
  let size = 0;
  for (const [key, value] of options.map(splitPair)) {
    if (!STORAGE_SIZE.test(key)) throw new Error(`${driver}: unknown option ${key}`);
    size = parseMemorySize(value);
  }
  return size;
}

/** `nofile=1024:2048` of a flag, `{"nofile": {"Soft": …, "Hard": …}}` of the file. */
function ulimits(value: Setting | undefined): { name: string; soft: number; hard: number }[] {
  if (Array.isArray(value)) {
    return value.map((item) => {
      const match = /^(\w+)=(-?\d+)(?::(-?\d+))?$/.exec(settingText(item));
      if (match === null) throw new Error(`invalid ulimit argument: ${settingText(item)}`);
      return { name: match[1] ?? '', soft: Number(match[2]), hard: Number(match[3] ?? match[2]) };
    });
  }
  return Object.entries(typeof value === 'object' ? value : {}).map(([name, limit]) => {
    const { Soft, Hard } = limit as { Soft?: number; Hard?: number };
    return { name, soft: Soft ?? Hard ?? 0, hard: Hard ?? Soft ?? 0 };
  });
}

/** Without the properties that are undefined. */
function defined<T extends object>(values: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  const entries = Object.entries(values).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as { [K in keyof T]?: Exclude<T[K], undefined> };
}
