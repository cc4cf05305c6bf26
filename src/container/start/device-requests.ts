import { accessSync, constants } from 'node:fs';
import path from 'node:path';
import { internal, invalid, messageOf } from '#/base/errors.ts';
import type { Logger } from '#/base/log.ts';
import { applyCdiEdits, cdiEdits, withVariable } from '#/oci/cdi.ts';
import type { RuntimeSpec } from '#/oci/runtime-spec.ts';
import type { DeviceRequest } from '#/wire/generated.ts';
import { cdiDeviceNames, type CdiRegistry, readCdiRegistry } from './cdi-registry.ts';
import { nodeFacts } from './devices.ts';

/** What a driver of NVIDIA's can be asked for (moby's daemon/nvidia_linux.go); the first two are not its words but the classes. */
const NVIDIA_CAPABILITIES = [
  'gpu',
  'nvidia',
  'compute',
  'compat32',
  'display',
  'graphics',
  'ngx',
  'utility',
  'video',
];
const NVIDIA_HOOK = 'nvidia-container-runtime-hook';
const NVIDIA_KIND = 'nvidia.com/gpu';

export interface DeviceDrivers {
  /** `--cdi-spec-dir`; without any there is no CDI. */
  cdiDirectories: readonly string[];
  logger: Logger;
}

/** Edits the specification for `DeviceRequests` (`--gpus`, `--device vendor.com/class=name`). Docker's words where no driver can. */
export async function applyDeviceRequests(
  spec: RuntimeSpec,
  requests: readonly DeviceRequest[],
  drivers: DeviceDrivers,
): Promise<void> {
  for (const request of requests) {
    const { Driver: driver = '' } = request;
    if (driver === 'cdi' && drivers.cdiDirectories.length > 0) {
      await injectCdiDevices(spec, request, drivers);
      continue;
    }
    const wanted = matchCapabilities(request.Capabilities ?? [], NVIDIA_CAPABILITIES);
    if ((driver === '' && wanted !== undefined) || driver === 'nvidia') {
      if (await injectNvidia(spec, request, wanted ?? [], drivers)) continue;
    }
    const asked = (request.Capabilities ?? []).map((each) => `[${each.join(' ')}]`).join(' ');
    throw invalid(`could not select device driver ${JSON.stringify(driver)} with capabilities: [${asked}]`);
  }
}

/** Of alternatives that each ask for all of something, the first that can be had. */
export function matchCapabilities(
  alternatives: readonly (readonly string[])[],
  available: readonly string[],
): readonly string[] | undefined {
  return alternatives.find((all) => all.every((capability) => available.includes(capability)));
}

async function injectCdiDevices(
  spec: RuntimeSpec,
  request: DeviceRequest,
  drivers: DeviceDrivers,
): Promise<void> {
  if (request.Count) throw invalid('unexpected count in CDI device request');
  if (Object.keys(request.Options ?? {}).length > 0)
    throw invalid('unexpected options in CDI device request');
  const registry = await readCdiRegistry(drivers.cdiDirectories);
  inject(spec, registry, request.DeviceIDs ?? [], drivers);
}

function inject(
  spec: RuntimeSpec,
  registry: CdiRegistry,
  names: readonly string[],
  { logger }: DeviceDrivers,
): void {
  try {
    for (const edits of cdiEdits(registry.specs, names)) applyCdiEdits(spec, edits, nodeFacts);
  } catch (error) {
    // A file that cannot be read may be why a device is not known.
    for (const wrong of registry.errors) logger.warn(wrong);
    throw internal(`CDI device injection failed: ${messageOf(error)}`, { cause: error });
  }
}

/** By the hook of NVIDIA's container runtime, else by its CDI files; false when this host has neither. */
async function injectNvidia(
  spec: RuntimeSpec,
  request: DeviceRequest,
  capabilities: readonly string[],
  drivers: DeviceDrivers,
): Promise<boolean> {
  const { Count: count = 0, DeviceIDs: ids } = request;
  if (count !== 0 && ids?.length) throw invalid('cannot set both Count and DeviceIDs on device request');
  const devices = ids?.length
    ? ids
    : count < 0
      ? ['all']
      : Array.from({ length: count }, (_, at) => String(at));
  const hook = findProgram(NVIDIA_HOOK);
  if (hook === undefined) {
    const registry = await readCdiRegistry(drivers.cdiDirectories);
    if (!cdiDeviceNames(registry).some((name) => name.startsWith(`${NVIDIA_KIND}=`))) return false;
    const names = devices.map((device) => `${NVIDIA_KIND}=${device}`);
    inject(spec, registry, names, drivers);
    return true;
  }
  const set = (name: string, values: readonly string[]): void => {
    spec.process.env = withVariable(spec.process.env ?? [], `${name}=${values.join(',')}`);
  };
  set('NVIDIA_VISIBLE_DEVICES', devices.length > 0 ? devices : ['void']);
  const words = capabilities.filter((each) => each !== 'gpu' && each !== 'nvidia');
  if (words.length > 0) set('NVIDIA_DRIVER_CAPABILITIES', words);
  const environment = Object.entries(process.env).map(([name, value]) => `${name}=${value ?? ''}`);
  const prestart = { path: hook, args: [NVIDIA_HOOK, 'prestart'], env: environment };
  spec.hooks = { ...spec.hooks, prestart: [...(spec.hooks?.prestart ?? []), prestart] };
  return true;
}

function findProgram(name: string): string | undefined {
  return (process.env['PATH'] ?? '')
    .split(':')
    .map((directory) => path.join(directory, name))
    .find((file) => {
      try {
        accessSync(file, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}
