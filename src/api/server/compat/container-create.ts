import { invalid } from '#/base/errors.ts';
import type { RetiredContainerConfig } from '#/wire/retired-fields.ts';
import type { ContainerCreateBody, HostConfig, Mount } from '#/wire/generated.ts';
import type { ApiVersion } from '../version.ts';

type Quirk = (host: HostConfig, version: ApiVersion) => HostConfig;

/** Removal at exit was the client's work before API 1.25. */
const ignoreEarlyAutoRemove: Quirk = (host, version) =>
  version.below('1.25') ? { ...host, AutoRemove: false } : host;

/** Clients before API 1.40 expect an IPC namespace that others can join, and send 0 for "no limit of processes". */
const oldDefaults: Quirk = (host, version) => {
  if (!version.below('1.40')) return host;
  return { ...host, IpcMode: host.IpcMode || 'shareable', PidsLimit: host.PidsLimit || null };
};

/** The cgroup namespace is an API 1.41 thing; before, containers shared the host's. */
const hostCgroupNamespace: Quirk = (host, version) =>
  version.below('1.41') ? { ...host, CgroupnsMode: 'host' } : host;

/** A console size in the body is read since API 1.42. */
const ignoreEarlyConsoleSize: Quirk = (host, version) =>
  version.below('1.42') ? { ...host, ConsoleSize: null, Annotations: {} } : host;

/** Options of mounts by the version that brought them: of an older client they are not meant so, whatever stands there. */
const youngMountOptions: Quirk = (host, version) => {
  if (host.Mounts === undefined || !version.below('1.46')) return host;
  const Mounts = host.Mounts.map((mount): Mount => {
    const { BindOptions, VolumeOptions, TmpfsOptions } = mount;
    const adapted = { ...mount };
    if (BindOptions !== undefined) {
      adapted.BindOptions = {
        ...BindOptions,
        ...(version.below('1.40') ? { NonRecursive: false } : {}),
        ...(version.below('1.42') ? { CreateMountpoint: false } : {}),
        ...(version.below('1.44') ? { ReadOnlyNonRecursive: false, ReadOnlyForceRecursive: false } : {}),
      };
    }
    if (VolumeOptions !== undefined && version.below('1.45'))
      adapted.VolumeOptions = { ...VolumeOptions, Subpath: '' };
    if (TmpfsOptions !== undefined) adapted.TmpfsOptions = { ...TmpfsOptions, Options: [] };
    return adapted;
  });
  return { ...host, Mounts };
};

const QUIRKS: readonly Quirk[] = [
  ignoreEarlyAutoRemove,
  oldDefaults,
  hostCgroupNamespace,
  ignoreEarlyConsoleSize,
  youngMountOptions,
];

/** The body as a client of the newest API would have sent it. */
export function adaptCreateBody(body: ContainerCreateBody, version: ApiVersion): ContainerCreateBody {
  const host = QUIRKS.reduce((config, quirk) => quirk(config, version), body.HostConfig ?? {});
  return moveMacAddress({ ...body, HostConfig: host });
}

/** The hardware address beside the command is the main endpoint's (moby's handleMACAddressBC); since API 1.44 it should stand there. */
function moveMacAddress(body: ContainerCreateBody & RetiredContainerConfig): ContainerCreateBody {
  const { MacAddress: address, ...rest } = body;
  if (!address) return rest;
  const mode = body.HostConfig?.NetworkMode || 'default';
  if (/^(host|container:)/.test(mode)) {
    throw invalid('conflicting options: mac-address and the network mode');
  }
  const name = mode === 'default' ? 'bridge' : mode;
  const endpoints = rest.NetworkingConfig?.EndpointsConfig ?? {};
  const own = endpoints[name]?.MacAddress;
  if (own && own !== address) {
    throw invalid(
      'the container-wide MAC address must match the endpoint-specific MAC address for the main network, or be left empty',
    );
  }
  const endpoint = { ...endpoints[name], MacAddress: address };
  return { ...rest, NetworkingConfig: { EndpointsConfig: { ...endpoints, [name]: endpoint } } };
}

/** What to tell a client that speaks as it should no longer. */
export function createWarnings(
  body: ContainerCreateBody & RetiredContainerConfig,
  version: ApiVersion,
): string[] {
  if (!body.MacAddress || version.below('1.44')) return [];
  return [
    'The container-wide MacAddress field is now deprecated. It should be specified in EndpointsConfig instead.',
  ];
}
