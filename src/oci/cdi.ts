import { invalid } from '#/base/errors.ts';
import type { RuntimeDevice, RuntimeHooks, RuntimeMount, RuntimeSpec } from './runtime-spec.ts';
import { deviceRule } from './default-spec.ts';

/**
 * The Container Device Interface (CNCF, SPEC.md of container-device-interface): files in which a vendor says what a container
 * needs that is to use one of its devices, as edits of the runtime specification. A device is named `vendor.com/class=name`.
 */
export interface CdiSpec {
  cdiVersion: string;
  /** `vendor.com/class` */
  kind: string;
  devices: { name: string; containerEdits?: CdiEdits }[];
  /** For each container that uses any of the devices. */
  containerEdits?: CdiEdits;
}

export interface CdiEdits {
  env?: string[];
  deviceNodes?: CdiDeviceNode[];
  mounts?: { hostPath: string; containerPath: string; options?: string[]; type?: string }[];
  hooks?: { hookName: string; path: string; args?: string[]; env?: string[]; timeout?: number }[];
  additionalGids?: number[];
}

export interface CdiDeviceNode {
  path: string;
  hostPath?: string;
  type?: string;
  major?: number;
  minor?: number;
  fileMode?: number;
  permissions?: string;
  uid?: number;
  gid?: number;
}

/** A device node of the host, without its place in the container. */
export type NodeFacts = Omit<RuntimeDevice, 'path'>;

const NAME =
  /^([A-Za-z](?:[\w.-]*[A-Za-z0-9])?)\/([A-Za-z](?:[\w-]*[A-Za-z0-9])?)=([A-Za-z0-9](?:[\w.:-]*[A-Za-z0-9])?)$/;
const KIND = /^[A-Za-z](?:[\w.-]*[A-Za-z0-9])?\/[A-Za-z](?:[\w-]*[A-Za-z0-9])?$/;
/** Edits that the runtimes this engine runs do not know. */
const UNKNOWN_EDITS = ['netDevices', 'intelRdt'];
const HOOK_NAMES: readonly string[] = [
  'prestart',
  'createRuntime',
  'createContainer',
  'startContainer',
  'poststart',
  'poststop',
];

export function isCdiDevice(name: string): boolean {
  return NAME.test(name);
}

/** A file's contents, decoded from JSON or YAML. Throws `invalid` with what is wrong with it. */
export function checkCdiSpec(value: unknown): CdiSpec {
  const spec = value as Partial<CdiSpec> | null;
  if (typeof spec !== 'object' || spec === null) throw invalid('not an object');
  if (typeof spec.cdiVersion !== 'string') throw invalid('missing cdiVersion');
  if (typeof spec.kind !== 'string' || !KIND.test(spec.kind)) throw invalid(`invalid kind "${spec.kind}"`);
  if (!Array.isArray(spec.devices) || spec.devices.length === 0) throw invalid('no devices');
  for (const device of spec.devices) {
    if (!isCdiDevice(`${spec.kind}=${device.name}`)) throw invalid(`invalid device name "${device.name}"`);
    checkEdits(device.containerEdits ?? {});
  }
  checkEdits(spec.containerEdits ?? {});
  return spec as CdiSpec;
}

function checkEdits(edits: CdiEdits): void {
  for (const key of UNKNOWN_EDITS) if (key in edits) throw invalid(`${key} are not supported`);
  for (const variable of edits.env ?? []) {
    if (!/^[^=]+=/.test(variable)) throw invalid(`invalid environment variable "${variable}"`);
  }
  for (const { path } of edits.deviceNodes ?? []) if (!path) throw invalid('invalid (empty) device path');
  for (const { hostPath, containerPath } of edits.mounts ?? []) {
    if (!hostPath || !containerPath) throw invalid('invalid mount, empty path');
  }
  for (const { hookName, path } of edits.hooks ?? []) {
    if (!HOOK_NAMES.includes(hookName)) throw invalid(`invalid hook name "${hookName}"`);
    if (!path) throw invalid('invalid hook, empty path');
  }
}

/** The edits for these devices, each file's own ones once and before its devices'. Throws when one is in no file. */
export function cdiEdits(specs: readonly CdiSpec[], names: readonly string[]): CdiEdits[] {
  const seen = new Set<CdiSpec>();
  const missing: string[] = [];
  const edits = names.flatMap((name) => {
    // The last one counts: its directory stands above the others.
    const spec = specs.findLast(({ kind, devices }) => devices.some((d) => `${kind}=${d.name}` === name));
    if (spec === undefined) {
      missing.push(name);
      return [];
    }
    const own = spec.devices.find((device) => `${spec.kind}=${device.name}` === name)?.containerEdits ?? {};
    if (seen.has(spec)) return [own];
    seen.add(spec);
    return [spec.containerEdits ?? {}, own];
  });
  if (missing.length > 0) throw invalid(`unresolvable CDI devices ${missing.join(', ')}`);
  return edits;
}

/** Applies edits to a specification, in place; `nodeAt` tells of a device node of the host, and throws when there is none. */
export function applyCdiEdits(spec: RuntimeSpec, edits: CdiEdits, nodeAt: (path: string) => NodeFacts): void {
  const { process, linux } = spec;
  for (const variable of edits.env ?? []) process.env = withVariable(process.env ?? [], variable);
  for (const node of edits.deviceNodes ?? []) {
    const device = runtimeDevice(node, process.user, nodeAt);
    linux.devices = [...(linux.devices ?? []).filter(({ path }) => path !== device.path), device];
    if (device.type === 'p') continue;
    const rules = linux.resources?.devices ?? [];
    linux.resources = {
      ...linux.resources,
      devices: [...rules, deviceRule(device, node.permissions || 'rwm')],
    };
  }
  for (const { hostPath, containerPath, options, type = 'bind' } of edits.mounts ?? []) {
    const mount: RuntimeMount = {
      destination: containerPath,
      source: hostPath,
      type,
      options: options ?? [],
    };
    spec.mounts = [...spec.mounts.filter(({ destination }) => destination !== containerPath), mount];
  }
  for (const { hookName, ...hook } of edits.hooks ?? []) {
    const name = hookName as keyof RuntimeHooks;
    spec.hooks = { ...spec.hooks, [name]: [...(spec.hooks?.[name] ?? []), hook] };
  }
  const groups = (edits.additionalGids ?? []).filter((gid) => gid > 0);
  if (groups.length > 0) {
    process.user.additionalGids = [...new Set([...(process.user.additionalGids ?? []), ...groups])];
  }
}

export function withVariable(env: readonly string[], variable: string): string[] {
  const name = variable.slice(0, variable.indexOf('=') + 1);
  return [...env.filter((other) => !other.startsWith(name)), variable];
}

/** What the file does not say of a node is as it is on the host; it belongs to whom the container runs as. */
function runtimeDevice(
  node: CdiDeviceNode,
  user: { uid: number; gid: number },
  nodeAt: (path: string) => NodeFacts,
): RuntimeDevice {
  const said = node.type === 'p' || (node.type !== undefined && (node.major ?? 0) > 0);
  const host = said ? undefined : nodeAt(node.hostPath ?? node.path);
  const type = (node.type ?? host?.type ?? 'c') as RuntimeDevice['type'];
  return {
    path: node.path,
    type,
    ...(type === 'p' ? {} : { major: node.major || host?.major, minor: node.minor || host?.minor }),
    ...defined('fileMode', node.fileMode ?? host?.fileMode),
    ...defined('uid', node.uid ?? (user.uid > 0 ? user.uid : undefined)),
    ...defined('gid', node.gid ?? (user.gid > 0 ? user.gid : undefined)),
  };
}

function defined<K extends string>(key: K, value: number | undefined): Partial<Record<K, number>> {
  return value === undefined ? {} : ({ [key]: value } as Record<K, number>);
}
