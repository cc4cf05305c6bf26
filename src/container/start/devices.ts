import { invalid } from '#/base/errors.ts';
import { devicesAt, type HostDevice } from '#/host/devices.ts';
import { refusalOfPath } from '#/host/refused-path.ts';
import type { NodeFacts } from '#/oci/cdi.ts';
import { deviceRule } from '#/oci/default-spec.ts';
import type { RuntimeDevice, RuntimeDeviceRule } from '#/oci/runtime-spec.ts';
import type { HostConfig } from '#/wire/generated.ts';
import { splitDeviceNumber } from './resources.ts';

/** The devices of the host that a container gets: those asked for, and with `--privileged` all there are. Throws in Docker's words. */
export function wantedDevices({ Privileged: privileged = false, Devices }: HostConfig): HostDevice[] {
  const asked = (Devices ?? []).flatMap(({ PathOnHost = '', PathInContainer, CgroupPermissions }) => {
    const inside = PathInContainer || PathOnHost;
    // A privileged container has it at its own place anyway, and may do everything with it.
    if (privileged && inside === PathOnHost) return [];
    return devicesOf(PathOnHost, inside, CgroupPermissions || 'rwm');
  });
  return privileged ? [...devicesAt('/dev'), ...asked] : asked;
}

function devicesOf(source: string, destination: string, access: string): HostDevice[] {
  const fail = (why: string): never => {
    throw invalid(`error gathering device information while adding custom device "${source}": ${why}`);
  };
  if (!/^[rwm]{1,3}$/.test(access)) fail(`invalid access "${access}": it is of the letters r, w and m`);
  const devices = lookedAt(() => devicesAt(source, destination, access), fail);
  return devices.length === 0 ? fail('not a device node') : devices;
}

function lookedAt<T>(look: () => T, fail: (why: string) => never): T {
  try {
    return look();
  } catch (error) {
    const refusal = refusalOfPath(error);
    if (refusal === undefined) throw error;
    return fail(refusal);
  }
}

/** A device node of the host as a CDI file leaves it open. */
export function nodeFacts(path: string): NodeFacts {
  const fail = (why: string): never => {
    throw invalid(`failed to stat CDI host device "${path}": ${why}`);
  };
  const [device, another] = lookedAt(() => devicesAt(path), fail);
  if (device === undefined || another !== undefined || device.path !== path) return fail('not a device node');
  return factsOf(device);
}

function factsOf({ type, rdev, mode }: HostDevice): NodeFacts {
  return { type, ...splitDeviceNumber(rdev), fileMode: mode };
}

/** What the specification says of devices: the nodes, and what the device cgroup allows beyond the default; pure. */
export function containerDevices(
  devices: readonly HostDevice[],
  hostConfig: HostConfig,
): { devices: RuntimeDevice[]; rules: RuntimeDeviceRule[] } {
  const given: RuntimeDevice[] = [];
  const rules: RuntimeDeviceRule[] = [];
  for (const device of devices) {
    const runtimeDevice: RuntimeDevice = {
      ...factsOf(device),
      path: device.path,
      uid: device.uid,
      gid: device.gid,
    };
    given.push(runtimeDevice);
    if (!hostConfig.Privileged) rules.push(deviceRule(runtimeDevice, device.access ?? 'rwm'));
  }
  for (const rule of hostConfig.DeviceCgroupRules ?? []) rules.push(parseDeviceRule(rule));
  return { devices: given, rules };
}

/** `TYPE MAJOR:MINOR ACCESS`, as the kernel's device controller reads it. */
function parseDeviceRule(text: string): RuntimeDeviceRule {
  const match = /^([acb]) (\d+|\*):(\d+|\*) ([rwm]{1,3})$/.exec(text);
  if (match === null) throw invalid(`invalid device cgroup rule format: '${text}'`);
  const [, type, major, minor, access] = match;
  return {
    allow: true,
    type: type === 'a' ? 'a' : type === 'b' ? 'b' : 'c',
    ...(major === '*' ? {} : { major: Number(major) }),
    ...(minor === '*' ? {} : { minor: Number(minor) }),
    access,
  };
}
