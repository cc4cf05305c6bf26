import { isIP } from 'node:net';
import { invalid } from '#/base/errors.ts';
import type { PortBinding, PortMap } from '#/wire/generated.ts';
import type { PortRequest, PublishedPort } from './driver.ts';

type Protocol = PortRequest['protocol'];

/** A container's port as the API names it. */
export interface ContainerPort {
  port: number;
  protocol: Protocol;
}

/** `80/tcp`, `53/UDP`, `80`, `8000-8010/tcp`. */
export function parseContainerPorts(text: string): ContainerPort[] {
  const [range = '', protocol = 'tcp', ...rest] = text.split('/');
  const lower = protocol.toLowerCase();
  if (rest.length > 0 || (lower !== 'tcp' && lower !== 'udp' && lower !== 'sctp')) {
    throw invalid(`invalid port specification: "${text}"`);
  }
  const [start, end] = parseRange(range, text);
  const ports: ContainerPort[] = [];
  for (let port = start; port <= end; port++) ports.push({ port, protocol: lower });
  return ports;
}

/**
 * What a container's start has to publish: its port bindings (`HostConfig.PortBindings`) and, with `publishAll`, every
 * exposed port that has none, each on a free port of the host.
 */
export function parsePortBindings(
  exposed: Record<string, unknown> | null | undefined,
  bindings: PortMap | null | undefined,
  publishAll = false,
): PortRequest[] {
  const requests: PortRequest[] = [];
  const bound = new Set<string>();
  for (const [key, list] of Object.entries(bindings ?? {})) {
    for (const { port, protocol } of parseContainerPorts(key)) {
      if (list === null || list.length === 0) continue;
      bound.add(`${port}/${protocol}`);
      for (const binding of list) requests.push({ containerPort: port, protocol, ...parseHost(binding) });
    }
  }
  if (publishAll) {
    for (const key of new Set([...Object.keys(exposed ?? {}), ...Object.keys(bindings ?? {})])) {
      for (const { port, protocol } of parseContainerPorts(key)) {
        if (!bound.has(`${port}/${protocol}`)) requests.push({ containerPort: port, protocol });
      }
    }
  }
  // In the order of the ports, so that random host ports come out in that order, as Docker's do.
  return requests.sort((a, b) => a.containerPort - b.containerPort || a.protocol.localeCompare(b.protocol));
}

function parseHost({ HostIp = '', HostPort = '' }: PortBinding): Partial<PortRequest> {
  const host: Partial<PortRequest> = {};
  if (HostIp !== '') {
    const address = HostIp.replace(/^\[(.*)\]$/, '$1');
    if (isIP(address) === 0) throw invalid(`invalid IP address: ${HostIp}`);
    host.hostIp = address;
  }
  if (HostPort === '' || HostPort === '0') return host;
  const [start, end] = parseRange(HostPort, HostPort);
  host.hostPort = start;
  if (end > start) host.hostPortEnd = end;
  return host;
}

function parseRange(range: string, whole: string): [number, number] {
  const match = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(range);
  const start = Number(match?.[1]);
  const end = Number(match?.[2] ?? match?.[1]);
  if (match === null || start > 65_535 || end > 65_535 || start > end || start === 0) {
    throw invalid(`invalid port specification: "${whole}"`);
  }
  return [start, end];
}

/** `NetworkSettings.Ports`: what is published where, and the exposed rest with `null`. */
export function portMap(
  exposed: Record<string, unknown> | null | undefined,
  published: readonly PublishedPort[],
): PortMap {
  const map: PortMap = {};
  for (const key of Object.keys(exposed ?? {})) {
    for (const { port, protocol } of parseContainerPorts(key)) map[`${port}/${protocol}`] = null;
  }
  for (const { containerPort, protocol, hostIp, hostPort } of published) {
    const key = `${containerPort}/${protocol}`;
    map[key] = [...(map[key] ?? []), { HostIp: hostIp, HostPort: String(hostPort) }];
  }
  return map;
}
