import { readFileSync, writeFileSync } from 'node:fs';
import { hostnameFile, hostsFile } from '#/network/hosts-file.ts';
import { parseNetworkMode } from './namespace-modes.ts';
import type { ContainerContext } from './context.ts';
import type { ContainerRecord } from './record.ts';

/** A container that shares another's network shares its names too. */
export function hasOwnEtcFiles(record: ContainerRecord): boolean {
  return parseNetworkMode(record.hostConfig.NetworkMode).kind !== 'container';
}

/** Writes /etc/hostname, /etc/hosts and /etc/resolv.conf as the container is to see them. */
export function writeEtcFiles(context: ContainerContext, record: ContainerRecord): void {
  const { paths, networks } = context;
  const { config, hostConfig } = record;
  const hostname = config.Hostname ?? '';
  const isHost = parseNetworkMode(hostConfig.NetworkMode).kind === 'host';
  writeFileSync(paths.etcFile(record.id, 'hostname'), hostnameFile(hostname));
  const addresses = record.endpoints.flatMap(({ ipv4, ipv6 }) =>
    [ipv4?.address, ipv6?.address].filter((address) => address !== undefined),
  );
  writeFileSync(
    paths.etcFile(record.id, 'hosts'),
    isHost && !hostConfig.ExtraHosts?.length
      ? readFileSync('/etc/hosts')
      : hostsFile({
          hostname,
          domainname: config.Domainname,
          addresses,
          extraHosts: hostConfig.ExtraHosts,
          gateway: networks.hostGateway,
        }),
  );
  writeFileSync(
    paths.etcFile(record.id, 'resolv.conf'),
    networks.resolvConf(
      { servers: hostConfig.Dns, search: hostConfig.DnsSearch, options: hostConfig.DnsOptions },
      { hostNetwork: isHost },
    ),
  );
}
