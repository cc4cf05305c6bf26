import type { ContainerInspectResponse, MountPoint, PortMap, PortSummary } from '#/wire/generated.ts';
import type { Container } from '../containers.ts';
import type { ContainerContext } from '../context.ts';
import { hasOwnEtcFiles } from '../start/etc-files.ts';
import { inspectedConfig, inspectedEndpoint, inspectedHostConfig } from './inspected-config.ts';
import type { ContainerRecord } from '../record.ts';
import { apparmorOf } from '../start/spec.ts';

export function inspection(
  context: ContainerContext,
  container: Container,
  execIds: string[],
): ContainerInspectResponse {
  const { record } = container;
  const { paths } = context;
  const { state } = record;
  const etcOwner = hasOwnEtcFiles(record) ? record.id : undefined;
  const etcFile = (name: 'hostname' | 'hosts' | 'resolv.conf'): string =>
    etcOwner === undefined ? '' : paths.etcFile(etcOwner, name);
  return {
    Id: record.id,
    Created: record.created,
    Path: record.path,
    Args: record.args,
    State: {
      Status: state.status,
      Running: state.status === 'running' || state.status === 'paused',
      Paused: state.status === 'paused',
      Restarting: state.status === 'restarting',
      OOMKilled: state.oomKilled,
      Dead: state.status === 'dead',
      Pid: state.pid,
      ExitCode: state.exitCode,
      Error: state.error,
      StartedAt: state.startedAt,
      FinishedAt: state.finishedAt,
      ...(state.health === undefined
        ? {}
        : {
            Health: {
              Status: state.health.status,
              FailingStreak: state.health.failingStreak,
              Log: state.health.log,
            },
          }),
    },
    Image: record.image,
    ResolvConfPath: etcFile('resolv.conf'),
    HostnamePath: etcFile('hostname'),
    HostsPath: etcFile('hosts'),
    LogPath: record.hostConfig.LogConfig?.Type === 'json-file' ? paths.log(record.id, 'json-file') : '',
    Name: `/${record.name}`,
    RestartCount: record.restartCount,
    Driver: context.snapshotter.name,
    Platform: 'linux',
    MountLabel: '',
    ProcessLabel: '',
    AppArmorProfile: apparmorOf(record.hostConfig, context.host) ?? '',
    ExecIDs: execIds.length > 0 ? execIds : null,
    HostConfig: inspectedHostConfig(
      { ...record.hostConfig, Links: linksOf(context, record) },
      {
        runtime: record.runtime,
        cgroupVersion: context.host.cgroupVersion,
      },
    ),
    GraphDriver: { Name: context.snapshotter.name, Data: graphData(context, record) },
    Mounts: mountViews(record),
    Config: inspectedConfig(record.config),
    NetworkSettings: networkSettings(context, record),
  };
}

/** `/target:/parent/alias`, as Docker computes them from the names of today. */
function linksOf(
  { containers }: ContainerContext,
  { name, links = [] }: ContainerRecord,
): string[] | undefined {
  const shown = links.map(
    (link) => `/${containers.byId(link.id)?.record.name ?? link.name}:/${name}/${link.alias}`,
  );
  return shown.length > 0 ? shown.toSorted() : undefined;
}

function graphData(context: ContainerContext, record: ContainerRecord): Record<string, string> {
  const { layers, upper = '', work = '' } = context.snapshotter.mounts(record.id);
  return {
    ID: record.id,
    LowerDir: layers
      .map((layer) => layer.directory)
      .toReversed()
      .join(':'),
    MergedDir: context.rootfs.path(record.id),
    UpperDir: upper,
    WorkDir: work,
  };
}

function networkSettings(
  context: ContainerContext,
  record: ContainerRecord,
): NonNullable<ContainerInspectResponse['NetworkSettings']> {
  return {
    SandboxID: record.endpoints.length > 0 ? record.id : '',
    SandboxKey: record.endpoints.length > 0 ? context.paths.netns(record.id) : '',
    Ports: portMap(record),
    Networks: Object.fromEntries(
      Object.entries(record.networks).map(([name, settings]) => [name, inspectedEndpoint(settings)]),
    ),
  };
}

/** Exposed ports with null, published ones with where they are; nothing for a container that holds no network. */
function portMap(record: ContainerRecord): PortMap {
  const map: PortMap = {};
  if (record.endpoints.length === 0) return map;
  for (const port of Object.keys(record.config.ExposedPorts ?? {}))
    map[port.includes('/') ? port : `${port}/tcp`] = null;
  for (const { containerPort, protocol, hostIp, hostPort } of record.endpoints.flatMap(
    (endpoint) => endpoint.ports,
  )) {
    const key = `${containerPort}/${protocol}`;
    map[key] = [...(map[key] ?? []), { HostIp: hostIp, HostPort: String(hostPort) }];
  }
  return map;
}

export function portSummaries(record: ContainerRecord): PortSummary[] {
  return Object.entries(portMap(record)).flatMap(([key, bindings]): PortSummary[] => {
    const [port = '', protocol = 'tcp'] = key.split('/');
    const summary = { PrivatePort: Number(port), Type: protocol };
    if (bindings === null) return [summary];
    return bindings.map(({ HostIp, HostPort }) => ({ IP: HostIp, ...summary, PublicPort: Number(HostPort) }));
  });
}

export function mountViews(record: ContainerRecord): MountPoint[] {
  return record.mounts
    .filter((mount) => mount.type !== 'tmpfs' || record.hostConfig.Tmpfs?.[mount.destination] === undefined)
    .map((mount) => ({
      Type: mount.type,
      ...(mount.name === undefined ? {} : { Name: mount.name }),
      Source: mount.source,
      Destination: mount.destination,
      ...(mount.driver === undefined ? {} : { Driver: mount.driver }),
      Mode: mount.mode,
      RW: mount.readWrite,
      Propagation: mount.propagation,
    }));
}
