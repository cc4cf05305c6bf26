import { mkdirSync, readlinkSync } from 'node:fs';
import path from 'node:path';
import { conflict, EngineError, internal, invalid, isKind, messageOf } from '#/base/errors.ts';
import { removeNetns } from '#/host/namespaces.ts';
import { removeNamespace } from '#/host/user-namespaces.ts';
import type { PreparedEndpoint } from '#/network/driver.ts';
import type { WantedNetworks } from '#/network/networks.ts';
import { parsePortBindings } from '#/network/port-bindings.ts';
import { type IdMapping, mappingKey } from '#/oci/id-mapping.ts';
import type { NamespaceType } from '#/oci/runtime-spec.ts';
import type { GuestNetwork } from '#/runtime/runtime.ts';
import type { Container } from '../containers.ts';
import type { ContainerContext } from '../context.ts';
import { parseIpcMode, parseNamespaceMode, parseNetworkMode } from '../namespace-modes.ts';
import { type ContainerRecord, isRunning } from '../record.ts';
import { layGuestLink, openToOthers } from './guest-network.ts';
import { makeSharedMemory, type SharedMemory, sharedMemoryOf } from './shared-memory.ts';

export interface JoinedNamespaces {
  /** Those that exist already, by path; `host` for none of its own. */
  namespaces: Partial<Record<NamespaceType, string>>;
  sharedMemory: SharedMemory;
  /** What a guest that shares a network is to have of it. */
  guestNetwork?: GuestNetwork;
}

/** The namespaces that are not the runtime's to make: the network's, user namespaces, and those of the host and of other containers. */
export async function joinNamespaces(
  context: ContainerContext,
  container: Container,
  undo: AsyncDisposableStack,
  options: { isGuest: boolean; formerAddresses?: Record<string, string> },
): Promise<JoinedNamespaces> {
  const { record } = container;
  const { hostConfig } = record;
  const namespaces: JoinedNamespaces['namespaces'] = {};
  const ipc = joinIpc(context, container, undo);
  if (ipc.path !== undefined) namespaces.ipc = ipc.path;
  const pid = joinPid(context, hostConfig.PidMode);
  if (pid.path !== undefined) namespaces.pid = pid.path;
  if (parseNamespaceMode('UTS', hostConfig.UTSMode).kind === 'host') namespaces.uts = 'host';
  const network = parseNetworkMode(hostConfig.NetworkMode);
  const target =
    network.kind === 'container' ? networkOwner(context, container, network.reference) : undefined;
  if (target !== undefined) await openToOthers(context, target);
  const joined = [target, ipc.target, pid.target].filter((each) => each !== undefined);
  refuseOtherMappings(record, joined);
  const isShared = !hasOwnNetns(record);
  // A guest is beside the namespace that it shares.
  const ownsNetns = options.isGuest || !isShared;
  let prepared: PreparedEndpoint | undefined;
  if (record.idMapping === undefined) {
    if (ownsNetns) prepared = makeNetns(context, record, undo);
  } else {
    namespaces.user = await joinUserNamespace(context, record, record.idMapping, joined[0], ownsNetns, undo);
  }
  if (target !== undefined) {
    namespaces.network = networkOf(target);
    record.config.Hostname = target.record.config.Hostname;
    record.config.Domainname = target.record.config.Domainname;
  } else {
    namespaces.network = isShared ? 'host' : context.paths.netns(record.id);
    if (!record.config.NetworkDisabled) {
      const { formerAddresses = {} } = options;
      await connectNetworks(context, container, undo, { prepared, formerAddresses });
    }
  }
  const joinedSoFar = { namespaces, sharedMemory: ipc.sharedMemory };
  if (!options.isGuest || !isShared) return joinedSoFar;
  const guestNetwork = layGuestLink(context, record, namespaces.network, undo);
  namespaces.network = context.paths.netns(record.id);
  return { ...joinedSoFar, guestNetwork };
}

/** A guest is not in the namespace that it shares. `host` when that is the host's. */
function networkOf(target: Container): string {
  const { guestLink } = target.record;
  return guestLink === undefined ? namespaceOf(target, 'net') : (guestLink.netns ?? 'host');
}

/** Who shares a namespace with another container must share its user namespace: the other belongs to that. */
function refuseOtherMappings({ idMapping }: ContainerRecord, joined: readonly Container[]): void {
  const key = (mapping: IdMapping | undefined): string | undefined => mapping && mappingKey(mapping);
  const other = joined.find(({ record }) => key(record.idMapping) !== key(idMapping));
  if (other === undefined) return;
  throw conflict(
    `cannot share namespaces with container ${other.record.name}: one of the two has a user namespace, or another one`,
  );
}

/** The user namespace of the container whose others are joined, else one of its own; and its network namespace in either. */
async function joinUserNamespace(
  { paths, userNamespaces }: ContainerContext,
  { id }: ContainerRecord,
  mapping: IdMapping,
  joined: Container | undefined,
  ownsNetns: boolean,
  undo: AsyncDisposableStack,
): Promise<string> {
  const network = paths.netns(id);
  if (ownsNetns) undo.defer(() => removeNetns(network));
  if (joined !== undefined) {
    const user = `/proc/${joined.record.state.pid}/ns/user`;
    if (ownsNetns) await userNamespaces.makeNetns(user, network);
    return user;
  }
  const user = paths.userns(id);
  undo.defer(() => removeNamespace(user));
  await userNamespaces.make(mapping, { user, ...(ownsNetns ? { network } : {}) });
  return user;
}

/** `host` when the other container has it from the host. */
function namespaceOf({ record }: Container, type: 'ipc' | 'net' | 'pid'): string {
  const path = `/proc/${record.state.pid}/ns/${type}`;
  return readlinkSync(path) === readlinkSync(`/proc/self/ns/${type}`) ? 'host' : path;
}

function joinIpc(
  context: ContainerContext,
  container: Container,
  undo: AsyncDisposableStack,
): { path?: string; target?: Container; sharedMemory: SharedMemory } {
  const mode = parseIpcMode(container.record.hostConfig.IpcMode);
  if (mode.kind === 'none' || mode.kind === 'private') return { sharedMemory: mode.kind };
  if (mode.kind === 'host') return { path: 'host', sharedMemory: { source: '/dev/shm' } };
  if (mode.kind === 'shareable') {
    return { sharedMemory: makeSharedMemory(context, container.record, undo) };
  }
  try {
    const target = running(context, mode.reference);
    return { target, path: namespaceOf(target, 'ipc'), sharedMemory: sharedMemoryOf(context, target) };
  } catch (error) {
    throw failedToJoin('IPC', error);
  }
}

function joinPid(
  context: ContainerContext,
  pidMode: string | undefined,
): { path?: string; target?: Container } {
  const mode = parseNamespaceMode('PID', pidMode);
  if (mode.kind === 'private') return {};
  if (mode.kind === 'host') return { path: 'host' };
  try {
    const target = running(context, mode.reference);
    return { target, path: namespaceOf(target, 'pid') };
  } catch (error) {
    // To Docker this is a fault found while the specification is written, so the status is 500 (daemon/start.go).
    throw internal(failedToJoin('PID', error).message, { cause: error });
  }
}

function failedToJoin(what: string, error: unknown): EngineError {
  const kind = error instanceof EngineError ? error.kind : 'internal';
  return new EngineError(kind, `failed to join ${what} namespace: ${messageOf(error)}`, { cause: error });
}

function running(context: ContainerContext, reference: string): Container {
  const target = context.containers.find(reference);
  if (target === undefined) throw invalid(`No such container: ${reference}`);
  if (target.record.state.status === 'restarting') throw isRestarting(reference);
  if (!isRunning(target.record)) throw conflict(`container ${reference} is not running`);
  return target;
}

function isRestarting(reference: string): EngineError {
  return conflict(`Container ${reference} is restarting, wait until the container is running`);
}

/** The container whose network another one joins. Throws in the words of moby's getNetworkedContainer(). */
function networkOwner(context: ContainerContext, joining: Container, reference: string): Container {
  const target = networkTarget(context, reference);
  if (target === joining) throw internal('cannot join own network namespace');
  const { status } = target.record.state;
  if (status === 'restarting') {
    throw conflict(`cannot join network namespace of container: ${isRestarting(reference).message}`);
  }
  if (!isRunning(target.record)) {
    throw conflict(
      `cannot join network namespace of a non running container: container ${target.record.name} is ${status}`,
    );
  }
  return target;
}

/** The container that `container:REFERENCE` names, running or not. */
export function networkTarget(context: ContainerContext, reference: string): Container {
  try {
    return context.containers.get(reference);
  } catch (error) {
    // It is the configuration that is wrong, not the path of the request.
    if (!isKind(error, 'notFound')) throw error;
    throw internal(`joining network namespace of container: ${messageOf(error)}`, { cause: error });
  }
}

function hasOwnNetns({ hostConfig }: ContainerRecord): boolean {
  const { kind } = parseNetworkMode(hostConfig.NetworkMode);
  return kind === 'network' || kind === 'none';
}

/** Makes the network namespace of the next container, which will mostly be as this one; to be called while there is time. */
export function prepareNextNetns({ networks }: ContainerContext, record: ContainerRecord): void {
  if (hasOwnNetns(record) && record.idMapping === undefined) networks.makeSpare(wantedNetworks(record));
}

function wantedNetworks({ config, networks }: ContainerRecord): WantedNetworks {
  return config.NetworkDisabled ? {} : networks;
}

function makeNetns(
  { paths, networks }: ContainerContext,
  record: ContainerRecord,
  undo: AsyncDisposableStack,
): PreparedEndpoint | undefined {
  const netns = paths.netns(record.id);
  mkdirSync(path.dirname(netns), { recursive: true, mode: 0o710 });
  const prepared = networks.makeNetns(netns, wantedNetworks(record));
  undo.defer(() => removeNetns(netns));
  return prepared;
}

async function connectNetworks(
  context: ContainerContext,
  container: Container,
  undo: AsyncDisposableStack,
  {
    prepared,
    formerAddresses,
  }: { prepared: PreparedEndpoint | undefined; formerAddresses: Record<string, string> },
): Promise<void> {
  const { record } = container;
  const ports = parsePortBindings(
    record.config.ExposedPorts,
    record.hostConfig.PortBindings,
    record.hostConfig.PublishAllPorts,
  );
  for (const [networkName, settings] of Object.entries(record.networks)) {
    const { endpoint, settings: connected } = await context.networks.connect({
      containerId: record.id,
      name: record.name,
      networkName,
      netns: context.paths.netns(record.id),
      endpoint: settings,
      prepared,
      formerAddress: formerAddresses[networkName],
      ports,
    });
    undo.defer(() => context.networks.disconnect(endpoint));
    record.endpoints = [...record.endpoints, endpoint];
    record.networks[networkName] = connected;
  }
}
