import { invalid, isKind } from '#/base/errors.ts';
import { parseExtraHost } from '#/network/hosts-file.ts';
import { parsePortBindings } from '#/network/port-bindings.ts';
import type { IdMapping } from '#/oci/id-mapping.ts';
import type { ContainerConfig, HostConfig } from '#/wire/generated.ts';
import type { ContainerContext } from '../context.ts';
import { parseIpcMode, parseNamespaceMode, parseNetworkMode } from '../namespace-modes.ts';

/** In bytes (sethostname(2)); of a domain name as much is taken. Docker finds out when the container starts. */
const LONGEST_HOST_NAME = 64;

/**
 * Checks whose namespaces a new container is to have, fills in the daemon's defaults, and names other containers by their ids,
 * so that they may be renamed. Whether those can be joined is for the start to see.
 */
export function completeNamespaces(
  context: ContainerContext,
  config: ContainerConfig,
  host: HostConfig,
): void {
  checkNetworkMode(context, config, host);
  const uts = parseNamespaceMode('UTS', host.UTSMode);
  if (uts.kind === 'host' && config.Hostname) {
    throw invalid('conflicting options: hostname and the UTS mode');
  }
  if (Buffer.byteLength(config.Hostname ?? '') > LONGEST_HOST_NAME) {
    throw invalid(`invalid hostname "${config.Hostname}": sethostname: invalid argument`);
  }
  const pid = parseNamespaceMode('PID', host.PidMode);
  if (pid.kind === 'container') host.PidMode = `container:${existing(context, pid.reference)}`;
  host.IpcMode ||= context.defaults.ipcMode;
  const ipc = parseIpcMode(host.IpcMode);
  if (ipc.kind === 'container') host.IpcMode = `container:${existing(context, ipc.reference)}`;
  host.CgroupnsMode ||= defaultCgroupnsMode(context, host);
  if (!['private', 'host'].includes(host.CgroupnsMode)) {
    throw invalid(`invalid cgroup namespace mode: ${host.CgroupnsMode}`);
  }
}

/** moby's daemon/daemon_unix.go, adaptContainerSettings(): a privileged container of cgroup v1 sees the host's, whatever the default. */
function defaultCgroupnsMode({ host, defaults }: ContainerContext, { Privileged }: HostConfig): string {
  if (host.cgroupVersion === 1 && Privileged) return 'host';
  return defaults.cgroupnsMode ?? (host.cgroupVersion === 1 ? 'host' : 'private');
}

/** Docker answers 400 when it is the request's container that is not there. */
function existing(context: ContainerContext, reference: string): string {
  try {
    return context.containers.get(reference).id;
  } catch (error) {
    if (isKind(error, 'notFound')) throw invalid(`No such container: ${reference}`);
    throw error;
  }
}

function checkNetworkMode(context: ContainerContext, config: ContainerConfig, host: HostConfig): void {
  host.NetworkMode ||= 'default';
  const mode = parseNetworkMode(host.NetworkMode);
  if (mode.kind === 'container') {
    // It may yet be made between create and start.
    const target = context.containers.find(mode.reference);
    if (target !== undefined) host.NetworkMode = `container:${target.id}`;
  }
  // The network, too, may be made between create and start; only its ports are checked here.
  parsePortBindings(config.ExposedPorts, host.PortBindings, host.PublishAllPorts);
  for (const extra of host.ExtraHosts ?? []) parseExtraHost(extra);
}

/** The mapping of the user namespace that the containers are in whose namespaces a new one is to share. */
export function joinedMapping({ containers }: ContainerContext, host: HostConfig): IdMapping | undefined {
  const references = [host.NetworkMode, host.IpcMode, host.PidMode].flatMap(
    (mode) => /^container:(.+)$/.exec(mode ?? '')?.[1] ?? [],
  );
  return references.map((reference) => containers.find(reference)?.record.idMapping).find(Boolean);
}

/** What a request may not say beside the host's network or another container's, to which it belongs; an image may. */
export function refuseNetworkConflicts(config: ContainerConfig, host: HostConfig): void {
  const { kind } = parseNetworkMode(host.NetworkMode);
  if (host.Links?.length && (kind === 'host' || kind === 'container')) {
    const what = kind === 'host' ? 'host type networking' : 'container type network';
    throw invalid(
      `conflicting options: ${what} can't be used with links. This would result in undefined behavior`,
    );
  }
  if (kind !== 'container') return;
  const publishes = Object.keys(host.PortBindings ?? {}).length > 0 || (host.PublishAllPorts ?? false);
  const conflicts: [given: boolean, what: string][] = [
    [!!config.Hostname, 'hostname and the network mode'],
    [!!host.Dns?.length, 'dns and the network mode'],
    [!!host.ExtraHosts?.length, 'custom host-to-IP mapping and the network mode'],
    [publishes, 'port publishing and the container type network mode'],
    [Object.keys(config.ExposedPorts ?? {}).length > 0, 'port exposing and the container type network mode'],
  ];
  const conflict = conflicts.find(([given]) => given);
  if (conflict !== undefined) throw invalid(`conflicting options: ${conflict[1]}`);
}
