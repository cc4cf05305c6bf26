import type { ContainerInspectResponse } from '#/wire/generated.ts';
import type { ApiVersion } from '../version.ts';

/** API 1.52 moved a container's addresses into its networks; clients of before read the default network's at the top. */
export function adaptInspect(container: ContainerInspectResponse, version: ApiVersion): object {
  const settings = container.NetworkSettings;
  if (settings === undefined || !version.below('1.52')) return container;
  const bridge = settings.Networks?.['bridge'];
  const top = {
    Bridge: '',
    HairpinMode: false,
    LinkLocalIPv6Address: '',
    LinkLocalIPv6PrefixLen: 0,
    SecondaryIPAddresses: null,
    SecondaryIPv6Addresses: null,
    EndpointID: bridge?.EndpointID ?? '',
    Gateway: bridge?.Gateway ?? '',
    GlobalIPv6Address: bridge?.GlobalIPv6Address ?? '',
    GlobalIPv6PrefixLen: bridge?.GlobalIPv6PrefixLen ?? 0,
    IPAddress: bridge?.IPAddress ?? '',
    IPPrefixLen: bridge?.IPPrefixLen ?? 0,
    IPv6Gateway: bridge?.IPv6Gateway ?? '',
    MacAddress: bridge?.MacAddress ?? '',
  };
  return { ...container, NetworkSettings: { ...top, ...settings } };
}
