import { readFileSync } from 'node:fs';
import { errnoCode, messageOf } from '#/base/errors.ts';
import type { FlagSet } from '#/cli/flags/flag-set.ts';
import { ACCEPTED_FLAGS, DAEMON_FLAGS } from './daemon-flags.ts';

/** A setting as it was given: flags are text, the file has types. */
export type Setting = string | number | boolean | Setting[] | { [key: string]: Setting };

/** Flags whose key in the file is another word (moby's daemon/config/config.go, the json tags). */
const FILE_KEYS: Record<string, string> = {
  'add-runtime': 'runtimes',
  'allow-nondistributable-artifacts': 'allow-nondistributable-artifacts',
  'authorization-plugin': 'authorization-plugins',
  'cdi-spec-dir': 'cdi-spec-dirs',
  'default-address-pool': 'default-address-pools',
  'default-network-opt': 'default-network-opts',
  'default-ulimit': 'default-ulimits',
  'dns-opt': 'dns-opts',
  'exec-opt': 'exec-opts',
  feature: 'features',
  host: 'hosts',
  'host-gateway-ip': 'host-gateway-ips',
  'insecure-registry': 'insecure-registries',
  label: 'labels',
  'log-opt': 'log-opts',
  'node-generic-resource': 'node-generic-resources',
  'registry-mirror': 'registry-mirrors',
  'storage-opt': 'storage-opts',
};
/** Keys that no flag has. */
const FILE_ONLY = [
  'host-gateway-ip',
  'builder',
  'deprecated-key-path',
  'proxies',
  'dns-search',
  'containerd',
  'min-api-version',
];
/** Flags that make no sense in the file. */
const FLAG_ONLY = ['config-file', 'help', 'validate', 'version'];
/** Lists of which the flag's and the file's values are not in each other's way. */
const ADDED: ReadonlySet<string> = new Set(['runtimes']);

function fileKey(flag: string): string {
  return FILE_KEYS[flag] ?? flag;
}

const FLAG_OF_KEY = new Map(
  [...DAEMON_FLAGS, ...ACCEPTED_FLAGS]
    .filter(({ name }) => !FLAG_ONLY.includes(name))
    .map((spec) => [fileKey(spec.name), spec]),
);

/** Settings under the file's keys, from the file and the flags together, in dockerd's words where they do not agree. */
export function readSettings(
  flags: FlagSet,
  file: string,
  required: boolean,
): { settings: Map<string, Setting>; withoutEffect: string[] } {
  const fail = (reason: string): never => {
    throw new Error(`unable to configure the Docker daemon with file ${file}: ${reason}`);
  };
  const fromFile = readFile(file, required, fail);
  checkKeys(fromFile, fail);
  checkConflicts(fromFile, flags, fail);
  checkTypes(fromFile, fail);
  const settings = new Map(fromFile);
  for (const [key, spec] of FLAG_OF_KEY) {
    if (!flags.changed(spec.name)) continue;
    if (key === 'runtimes') settings.set(key, withRuntimes(settings.get(key), flags.list(spec.name)));
    else settings.set(key, flagSetting(flags, spec.name, spec.type));
  }
  const withoutEffect = [...fromFile.keys()].filter((key) =>
    ACCEPTED_FLAGS.some(({ name }) => fileKey(name) === key),
  );
  return { settings, withoutEffect };
}

function readFile(file: string, required: boolean, fail: (reason: string) => never): Map<string, Setting> {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if (errnoCode(error) !== 'ENOENT') return fail(messageOf(error));
    return required ? fail(`open ${file}: no such file or directory`) : new Map();
  }
  if (text.trim() === '') return new Map();
  try {
    const parsed = JSON.parse(text) as Record<string, Setting | null>;
    if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) {
      return fail('json: cannot unmarshal into Go value of type map[string]interface {}');
    }
    return new Map(Object.entries(parsed).filter((entry): entry is [string, Setting] => entry[1] !== null));
  } catch (error) {
    return fail(messageOf(error));
  }
}

function checkKeys(fromFile: Map<string, Setting>, fail: (reason: string) => never): void {
  const unknown = [...fromFile.keys()].filter((key) => !FLAG_OF_KEY.has(key) && !FILE_ONLY.includes(key));
  if (unknown.length > 0) {
    fail(`the following directives don't match any configuration option: ${unknown.join(', ')}`);
  }
}

function checkConflicts(
  fromFile: Map<string, Setting>,
  flags: FlagSet,
  fail: (reason: string) => never,
): void {
  const conflicts = [...fromFile].flatMap(([key, value]) => {
    const spec = FLAG_OF_KEY.get(key);
    if (spec === undefined || ADDED.has(key) || !flags.changed(spec.name)) return [];
    const flag = settingText(flagSetting(flags, spec.name, spec.type));
    return [`${key}: (from flag: ${flag}, from file: ${settingText(value)})`];
  });
  if (conflicts.length > 0) {
    fail(
      `the following directives are specified both as a flag and in the configuration file: ${conflicts.join(', ')}`,
    );
  }
}

function checkTypes(fromFile: Map<string, Setting>, fail: (reason: string) => never): void {
  for (const [key, value] of fromFile) {
    const type = FLAG_OF_KEY.get(key)?.type;
    const found = Array.isArray(value) ? 'array' : typeof value;
    const wanted =
      type === 'bool' ? 'bool' : type === 'int' ? 'int' : type === 'string' ? 'string' : undefined;
    const matches = { bool: 'boolean', int: 'number', string: 'string' };
    if (wanted !== undefined && found !== matches[wanted]) {
      const name = found === 'boolean' ? 'bool' : found;
      fail(`json: cannot unmarshal ${name} into Go struct field Config.${key} of type ${wanted}`);
    }
  }
}

function flagSetting(flags: FlagSet, name: string, type: string): Setting {
  if (type === 'bool') return flags.bool(name);
  if (type === 'int' || type === 'bytes') return flags.number(name);
  return type === 'list' ? flags.list(name) : flags.string(name);
}

/** `--add-runtime name=path` beside the file's `{"runtimes": {"name": {"path": …}}}`. */
function withRuntimes(fromFile: Setting | undefined, given: readonly string[]): Setting {
  const runtimes: Record<string, Setting> =
    typeof fromFile === 'object' && !Array.isArray(fromFile) ? { ...fromFile } : {};
  for (const runtime of given) {
    const at = runtime.indexOf('=');
    if (at <= 0) throw new Error(`invalid runtime specification: ${runtime}`);
    runtimes[runtime.slice(0, at)] = { path: runtime.slice(at + 1) };
  }
  return runtimes;
}

/** As Go's %v prints it. */
export function settingText(value: Setting): string {
  if (Array.isArray(value)) return `[${value.map(settingText).join(' ')}]`;
  if (typeof value !== 'object') return String(value);
  const entries = Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return `map[${entries.map(([key, inner]) => `${key}:${settingText(inner)}`).join(' ')}]`;
}
