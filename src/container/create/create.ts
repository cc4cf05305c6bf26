import { chmodSync, chownSync, existsSync, mkdirSync, readdirSync, statSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname } from 'node:path';
import { conflict, internal, invalid, isKind, messageOf } from '#/base/errors.ts';
import { newId, shortId } from '#/base/ids.ts';
import { nowTimestamp, ZERO_TIME } from '#/base/time.ts';
import { type IdMapping, mappedRoot } from '#/oci/id-mapping.ts';
import { endpointWarnings } from '#/network/endpoint-options.ts';
import { refuseOtherPlatforms } from '#/image/offered-platform.ts';
import { normalizeCapabilities } from '#/oci/capabilities.ts';
import { parsePlatform } from '#/oci/platform.ts';
import type { ContainerConfig, ContainerCreateBody, EndpointSettings, HostConfig } from '#/wire/generated.ts';
import type { Container } from '../containers.ts';
import { type ContainerContext, publish } from '../context.ts';
import { checkCgroupParent } from './cgroup-parent.ts';
import { checkResources, completeLimits } from './check-resources.ts';
import { copyUp } from '../filesystem/copy-up.ts';
import { hasOwnKernel, isolatedRuntime, refuseHostKernelOptions, refuseUnmappedShares } from './isolation.ts';
import { resolveLinks } from './links.ts';
import { checkLogConfig } from '../logs/log-drivers.ts';
import { checkLogTag } from '../logs/log-target.ts';
import { mergeImageConfig } from './merge-config.ts';
import { parseVolumesFrom } from '../filesystem/bind-spec.ts';
import { followDataRoot, wantedMounts } from '../filesystem/mounts.ts';
import { parseNetworkMode } from '../namespace-modes.ts';
import { completeNamespaces, joinedMapping, refuseNetworkConflicts } from './namespace-options.ts';
import { inventName, parseContainerName } from '../names.ts';
import { onUnhealthy } from '../supervise/on-unhealthy.ts';
import type { ContainerRecord, MountPoint } from '../record.ts';
import { parseSecurityOptions } from './security-options.ts';
import { parseSignal } from '../signals.ts';
import { storageLimit } from './storage-options.ts';
import { GUEST_DISK_SIZE } from '../start/guest.ts';
import { admit } from '../start/user-namespaces.ts';
import { withoutEffect } from './without-effect.ts';

export interface CreateRequest {
  name?: string;
  /** `os/arch[/variant]`: the image must be of it. */
  platform?: string;
  /** Read-only binds leave what is mounted below their source as it is. */
  readOnlyNonRecursive?: boolean;
  body: ContainerCreateBody;
}

/** Makes a container: checks the request, reserves the name, prepares its filesystem and volumes. Nothing runs yet. */
export async function createContainer(
  context: ContainerContext,
  request: CreateRequest,
): Promise<{ container: Container; warnings: string[] }> {
  const phases = context.logger.phases('create');
  const { HostConfig: requestedHost, NetworkingConfig: networking, ...requested } = request.body;
  const name = request.name
    ? parseContainerName(request.name)
    : inventName((n) => context.containers.nameTaken(n));
  if (!requested.Image) throw invalid('no image specified');
  refuseNetworkConflicts(requested, requestedHost ?? {});
  await using _held = await context.images.hold();
  const image = context.images.resolve(requested.Image);
  if (request.platform) {
    refuseOtherPlatforms(requested.Image, image.config, [parsePlatform(request.platform)]);
  }
  const config = mergeImageConfig(requested, image.config.config ?? {});
  const { host, warnings } = checkHostConfig(context, config, requestedHost ?? {});
  const runtime = isolatedRuntime(host, context.runtimes, context.defaults.runtime);
  const isGuest = hasOwnKernel(context.runtimes.get(runtime));
  if (isGuest) refuseHostKernelOptions(host);
  const snapshot = snapshotOptions(context, host, isGuest);
  phases.mark('check');

  const mapping = await context.userNamespaces.mappingFor(host, joinedMapping(context, host));
  // Root in a guest is nobody outside as it is.
  const idMapping = isGuest ? undefined : mapping;
  const id = newId();
  config.Hostname ||= defaultHostname(context, id, host);
  const wanted = wantedMounts(config, host)
    .map((mount) => followDataRoot(mount, context.paths.dataRoot))
    .map((mount) => withImage(context, mount))
    .map((mount) =>
      request.readOnlyNonRecursive && mount.type === 'bind' && !mount.readWrite
        ? { ...mount, readOnlyNonRecursive: true }
        : mount,
    );
  const mounts = withBorrowed(context, wanted, host.VolumesFrom ?? []);
  refuseMissingSources(mounts);
  if (isGuest && mapping !== undefined) refuseUnmappedShares(mounts);
  const { links, warnings: linkWarnings } = resolveLinks(context, host.Links ?? []);
  const endpoints = networking?.EndpointsConfig ?? {};
  warnings.push(...linkWarnings, ...Object.values(endpoints).flatMap(endpointWarnings));
  delete host.Links;
  const [path = '', ...args] = [...(config.Entrypoint ?? []), ...(config.Cmd ?? [])];
  const record: ContainerRecord = {
    id,
    name,
    created: nowTimestamp(),
    image: image.id,
    layers: image.layers,
    path,
    args,
    config,
    hostConfig: host,
    mounts,
    ...(idMapping === undefined ? {} : { idMapping }),
    state: {
      status: 'created',
      pid: 0,
      exitCode: 0,
      error: '',
      oomKilled: false,
      startedAt: ZERO_TIME,
      finishedAt: ZERO_TIME,
      stoppedByUser: false,
    },
    links,
    networks: wantedNetworks(context, host, endpoints),
    endpoints: [],
    restartCount: 0,
    runtime,
    warnings,
  };
  checkLogTag(record);
  // Recorded first, so that its image is in use and its name taken while the rest is made; a prune that sees it there waits.
  using _ = await context.locks.acquire(id);
  const container = context.containers.add(record);
  await using undo = new AsyncDisposableStack();
  undo.defer(() => discard(context, container));
  mkdirSync(context.paths.data(id), { recursive: true, mode: 0o710 });
  if (idMapping !== undefined) admitToData(context, id, idMapping);
  await context.snapshotter.prepare(id, image.layers, snapshot);
  phases.mark('snapshot');
  if (record.mounts.some((mount) => mount.type === 'volume')) {
    await makeVolumes(context, container);
    phases.mark('volumes');
  }
  context.containers.save(container);
  undo.move();
  publish(context.events, container, 'create');
  phases.done({ id: shortId(id) });
  return { container, warnings };
}

/** Lets the root of a user namespace to what the container has on the host. */
export function admitToData({ paths }: ContainerContext, id: string, mapping: IdMapping): void {
  // The others' root as well: who passes the data root is seen to there.
  chmodSync(dirname(paths.data(id)), 0o711);
  admit(paths.data(id), mapping);
}

/** What is written by a container of this host configuration: how much at most, and by whose kernel. */
export function snapshotOptions(
  { defaults }: ContainerContext,
  host: HostConfig,
  isGuest: boolean,
): { size: number; guest: boolean } {
  const limit = storageLimit(host.StorageOpt ?? {}, defaults.storageSize);
  return { size: limit || (isGuest ? GUEST_DISK_SIZE : 0), guest: isGuest };
}

async function discard(context: ContainerContext, container: Container): Promise<void> {
  const { id } = container;
  context.rootfs.unmount(id);
  await context.snapshotter.remove(id);
  await rm(context.paths.data(id), { recursive: true, force: true });
  await rm(context.paths.bundle(id), { recursive: true, force: true });
  context.containers.remove(container);
}

/** The request's host configuration, checked and completed. Throws in Docker's words. */
function checkHostConfig(
  context: ContainerContext,
  config: ContainerConfig,
  requested: HostConfig,
): { host: HostConfig; warnings: string[] } {
  const { resources, warnings } = checkResources(requested, context.limits);
  const host: HostConfig = resources;
  completeLimits(host);
  checkCgroupParent(host.CgroupParent ?? '', context.defaults.cgroupDriver);
  host.UsernsMode ||= parseSecurityOptions(host.SecurityOpt ?? []).userns;
  if (config.StopSignal) parseSignal(config.StopSignal);
  if (config.WorkingDir && !config.WorkingDir.startsWith('/')) {
    throw invalid(`the working directory '${config.WorkingDir}' is invalid, it needs to be an absolute path`);
  }
  for (const variable of config.Env ?? []) {
    if (variable === '' || variable.startsWith('='))
      throw invalid(`invalid environment variable: ${variable}`);
  }
  checkHealthcheck(config);
  onUnhealthy(config.Labels);
  checkRestartPolicy(host);
  completeNamespaces(context, config, host);
  normalizeCapabilities('CapAdd', host.CapAdd ?? [], context.host.capabilities);
  normalizeCapabilities('CapDrop', host.CapDrop ?? []);
  if (Object.hasOwn(host.Annotations ?? {}, '')) {
    throw invalid('invalid Annotations: the empty string is not permitted as an annotation key');
  }
  if (host.ShmSize !== undefined && host.ShmSize < 0) throw invalid('SHM size can not be less than 0');
  host.ShmSize ||= context.defaults.shmSize;
  host.LogConfig = checkLogConfig(host.LogConfig, context.defaults.log) as HostConfig['LogConfig'];
  host.RestartPolicy ??= { Name: 'no', MaximumRetryCount: 0 };
  warnings.push(...withoutEffect(config, host, context));
  return { host, warnings };
}

/** moby's daemon/container.go, validateHealthCheck */
function checkHealthcheck({ Healthcheck: check }: ContainerConfig): void {
  for (const key of ['Interval', 'Timeout', 'StartPeriod', 'StartInterval'] as const) {
    const nanos = check?.[key] ?? 0;
    if (nanos !== 0 && nanos < 1e6) throw invalid(`${key} in Healthcheck cannot be less than 1ms`);
  }
  if ((check?.Retries ?? 0) < 0) throw invalid('Retries in Healthcheck cannot be negative');
}

export function checkRestartPolicy(host: HostConfig): void {
  const policy = host.RestartPolicy;
  const name = policy?.Name ?? '';
  if (!['', 'no', 'always', 'unless-stopped', 'on-failure'].includes(name)) {
    throw invalid(
      `invalid restart policy: unknown policy '${name}'; use one of 'no', 'always', 'on-failure', or 'unless-stopped'`,
    );
  }
  if (name !== '' && name !== 'no' && host.AutoRemove) {
    throw invalid("can't create 'AutoRemove' container with restart policy");
  }
  const retries = policy?.MaximumRetryCount ?? 0;
  if (retries !== 0 && name !== 'on-failure') {
    throw invalid("invalid restart policy: maximum retry count can only be used with 'on-failure'");
  }
  if (retries < 0) throw invalid('invalid restart policy: maximum retry count cannot be negative');
}

function wantedNetworks(
  context: ContainerContext,
  host: HostConfig,
  endpoints: Record<string, EndpointSettings>,
): Record<string, EndpointSettings> {
  const mode = parseNetworkMode(host.NetworkMode);
  if (mode.kind === 'container') return {};
  const name = mode.kind === 'network' ? mode.name : mode.kind;
  const network = knownNetwork(context, name);
  const named = Object.entries(endpoints);
  const settings =
    endpoints[name] ?? endpoints[network.name] ?? endpoints[network.id] ?? endpoints['default'] ?? {};
  if (named.length > 1) {
    throw conflict('Container cannot be connected to network endpoints: user networks are not implemented');
  }
  return { [network.name]: settings };
}

/** A network that is not there may yet be made; if not, the start fails, as Docker's does. */
function knownNetwork(context: ContainerContext, name: string): { name: string; id: string } {
  try {
    return context.networks.find(name);
  } catch (error) {
    if (!isKind(error, 'notFound')) throw error;
    return { name, id: name };
  }
}

function defaultHostname(context: ContainerContext, id: string, host: HostConfig): string {
  const mode = parseNetworkMode(host.NetworkMode);
  if (mode.kind === 'host' || host.UTSMode === 'host') return hostname();
  if (mode.kind === 'container')
    return context.containers.find(mode.reference)?.record.config.Hostname ?? shortId(id);
  return shortId(id);
}

/** `VolumesFrom`: what other containers have mounted, wherever the request mounts nothing of its own. */
function withBorrowed(
  context: ContainerContext,
  mounts: readonly MountPoint[],
  volumesFrom: readonly string[],
): MountPoint[] {
  const all = new Map<string, MountPoint>();
  for (const from of volumesFrom) {
    const { reference, readOnly } = parseVolumesFrom(from);
    for (const mount of context.containers.get(reference).record.mounts) {
      if (mount.type === 'tmpfs') continue;
      all.set(mount.destination, { ...mount, readWrite: mount.readWrite && !readOnly, noCopy: true });
    }
  }
  for (const mount of mounts) {
    // A volume that the image only declares gives way to a borrowed one.
    if (mount.anonymous && mount.name === undefined && all.has(mount.destination)) continue;
    all.set(mount.destination, mount);
  }
  return [...all.values()];
}

/** The image that a mount names, as it is now: the name may come to mean another one. */
function withImage(context: ContainerContext, mount: MountPoint): MountPoint {
  if (mount.type !== 'image') return mount;
  const { id, layers } = context.images.resolve(mount.name ?? '');
  return { ...mount, source: id, layers };
}

/** What `--mount type=bind` names must be there; `-v` makes it. */
function refuseMissingSources(mounts: readonly MountPoint[]): void {
  for (const { type, source, createSource } of mounts) {
    if (type === 'bind' && !createSource && !existsSync(source)) {
      throw invalid(`invalid mount config for type "bind": bind source path does not exist: ${source}`);
    }
  }
}

/** Makes the volumes that are not there yet, and fills empty ones from the image. */
async function makeVolumes(context: ContainerContext, container: Container): Promise<void> {
  const { record } = container;
  for (const mount of record.mounts.filter((mount) => mount.type === 'volume')) {
    const volume = await context.volumes.create({
      name: mount.name,
      driver: mount.driver,
      anonymous: mount.anonymous,
      ...volumeOptions(record, mount),
    });
    mount.name = volume.Name;
    mount.source = volume.Mountpoint;
    if (record.idMapping !== undefined) giveIfNew(volume.Mountpoint, record.idMapping);
  }
  // The record names its volumes from here on, so that none is orphaned by a crash.
  context.containers.save(container);
  try {
    await copyUp(context, record);
  } catch (error) {
    throw internal(`Cannot fill the volumes of container "${record.name}": ${messageOf(error)}`, {
      cause: error,
    });
  }
}

/** A volume that nothing was put into is given to the root of the user namespace; what is in one keeps its owners, as in a bind. */
function giveIfNew(directory: string, mapping: IdMapping): void {
  const { uid: before } = statSync(directory);
  if (before !== 0 || readdirSync(directory).length > 0) return;
  const { uid, gid } = mappedRoot(mapping);
  chownSync(directory, uid, gid);
}

function volumeOptions(
  record: ContainerRecord,
  mount: MountPoint,
): { options?: Record<string, string>; labels?: Record<string, string> } {
  const wanted = record.hostConfig.Mounts?.find((m) => m.Target === mount.destination)?.VolumeOptions;
  return { options: wanted?.DriverConfig?.Options, labels: wanted?.Labels };
}
