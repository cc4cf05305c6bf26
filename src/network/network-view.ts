import type { EndpointSettings, NetworkInspect, NetworkSummary } from '#/wire/generated.ts';
import type { Endpoint, NetworkRecord } from './driver.ts';
import type { EndpointRecord } from './network-records.ts';

/** A network as `GET /networks` lists it. */
export function networkSummary(network: NetworkRecord): NetworkSummary {
  return {
    Name: network.name,
    Id: network.id,
    Created: network.created,
    Scope: 'local',
    Driver: network.driver,
    EnableIPv4: true,
    EnableIPv6: network.enableIPv6,
    IPAM: {
      Driver: network.ipam.driver,
      Options: network.ipam.options,
      Config: network.ipam.config.map(({ subnet, ipRange, gateway, auxAddresses }) => ({
        Subnet: subnet,
        ...(ipRange === undefined ? {} : { IPRange: ipRange }),
        ...(gateway === undefined ? {} : { Gateway: gateway }),
        ...(auxAddresses === undefined ? {} : { AuxiliaryAddresses: auxAddresses }),
      })),
    },
    Internal: network.internal,
    Attachable: network.attachable,
    Ingress: false,
    ConfigFrom: { Network: '' },
    ConfigOnly: false,
    Options: network.options,
    Labels: network.labels,
  };
}

/** A network as `GET /networks/{id}` shows it: with the running containers on it, by container id. */
export function networkInspect(network: NetworkRecord, endpoints: readonly EndpointRecord[]): NetworkInspect {
  const containers = endpoints.map((endpoint): [string, object] => [
    endpoint.containerId,
    {
      Name: endpoint.containerName,
      EndpointID: endpoint.endpointId,
      MacAddress: endpoint.macAddress,
      IPv4Address: cidr(endpoint.ipv4),
      IPv6Address: cidr(endpoint.ipv6),
    },
  ]);
  return { ...networkSummary(network), Containers: Object.fromEntries(containers) };
}

function cidr(address: Endpoint['ipv4']): string {
  return address === undefined ? '' : `${address.address}/${address.prefixLength}`;
}

/** What a container's inspect says of one of its networks: what was asked for, and what it got while it runs. */
export function endpointSettings(asked: EndpointSettings, endpoint: Endpoint | undefined): EndpointSettings {
  return {
    ...asked,
    MacAddress: endpoint?.macAddress ?? '',
    NetworkID: endpoint?.networkId ?? asked.NetworkID ?? '',
    EndpointID: endpoint?.endpointId ?? '',
    Gateway: endpoint?.ipv4?.gateway ?? '',
    IPAddress: endpoint?.ipv4?.address ?? '',
    IPPrefixLen: endpoint?.ipv4?.prefixLength ?? 0,
    IPv6Gateway: endpoint?.ipv6?.gateway ?? '',
    GlobalIPv6Address: endpoint?.ipv6?.address ?? '',
    GlobalIPv6PrefixLen: endpoint?.ipv6?.prefixLength ?? 0,
  };
}
