import { chownSync, readFileSync, writeFileSync } from 'node:fs';
import { errnoCode, messageOf } from '#/base/errors.ts';
import { hostnameFile, hostsFile, withAddress } from '#/network/hosts-file.ts';
import { mappedRoot } from '#/oci/id-mapping.ts';
import { parseNetworkMode } from '../namespace-modes.ts';
import type { ContainerContext } from '../context.ts';
import { linkNames, type LiveLink } from '../create/links.ts';
import { type ContainerRecord, isRunning } from '../record.ts';

/** A container that shares another's network shares its names too. */
export function hasOwnEtcFiles(record: ContainerRecord): boolean {
  return parseNetworkMode(record.hostConfig.NetworkMode).kind !== 'container';
}

/** Writes /etc/hostname, /etc/hosts and /etc/resolv.conf as the container is to see them. */
export function writeEtcFiles(
  context: ContainerContext,
  record: ContainerRecord,
  links: readonly LiveLink[] = [],
): void {
  const { paths, networks } = context;
  const { config, hostConfig } = record;
  const hostname = config.Hostname ?? '';
  const write = (name: 'hostname' | 'hosts' | 'resolv.conf', text: string | Buffer): void => {
    const file = paths.etcFile(record.id, name);
    writeFileSync(file, text);
    if (record.idMapping === undefined) return;
    const { uid, gid } = mappedRoot(record.idMapping);
    chownSync(file, uid, gid);
  };
  const isHost = parseNetworkMode(hostConfig.NetworkMode).kind === 'host';
  write('hostname', hostnameFile(hostname));
  const addresses = record.endpoints.flatMap(({ ipv4, ipv6 }) =>
    [ipv4?.address, ipv6?.address].filter((address) => address !== undefined),
  );
  write(
    'hosts',
    isHost && !hostConfig.ExtraHosts?.length
      ? hostsOfHost()
      : hostsFile({
          hostname,
          domainname: config.Domainname,
          addresses,
          extraHosts: hostConfig.ExtraHosts,
          links: links.map((link) => ({ address: link.address, names: linkNames(link) })),
          gateways: networks.hostGateways,
        }),
  );
  write(
    'resolv.conf',
    networks.resolvConf(
      { servers: hostConfig.Dns, search: hostConfig.DnsSearch, options: hostConfig.DnsOptions },
      { hostNetwork: isHost },
    ),
  );
}

/** Small hosts have none; then the file that is mounted is empty, as Docker's. */
function hostsOfHost(): string {
  try {
    return readFileSync('/etc/hosts', 'utf8');
  } catch (error) {
    if (errnoCode(error) === 'ENOENT') return '';
    throw error;
  }
}

/** A container that has started may have another address: those that run and have a link to it are told. */
export async function updateParentsHosts(context: ContainerContext, record: ContainerRecord): Promise<void> {
  const address = record.endpoints.find(({ ipv4 }) => ipv4 !== undefined)?.ipv4?.address;
  if (address === undefined) return;
  for (const parent of context.containers.parents(record.id)) {
    if (!isRunning(parent.record) || !hasOwnEtcFiles(parent.record)) continue;
    const file = context.paths.etcFile(parent.id, 'hosts');
    let text = readFileSync(file, 'utf8');
    for (const { alias, id } of parent.record.links ?? []) {
      if (id === record.id) text = withAddress(text, alias, address);
    }
    // In place: the container has this very file mounted.
    writeFileSync(file, text);
    try {
      await parent.task?.writeFile?.(file);
    } catch (error) {
      // It may just end.
      const details = { container: parent.id, error: messageOf(error) };
      context.logger.warn("Cannot renew a guest's hosts file", details);
    }
  }
}
