import { mkdirSync, rmSync } from 'node:fs';
import { hostname } from 'node:os';
import path from 'node:path';
import {
  conflict,
  EngineError,
  errnoCode,
  internal,
  invalid,
  messageOf,
  notModified,
} from '#/base/errors.ts';
import { shortId } from '#/base/ids.ts';
import type { Phases } from '#/base/log.ts';
import { nowTimestamp } from '#/base/time.ts';
import { resolveInRoot } from '#/host/scoped-path.ts';
import { mappedRoot, type Owner } from '#/oci/id-mapping.ts';
import type { Runtime, TaskIo } from '#/runtime/runtime.ts';
import { cgroupsPathOf } from '../create/cgroup-parent.ts';
import type { Checkpoint } from '../checkpoints.ts';
import type { Container } from '../containers.ts';
import { type ContainerContext, publish } from '../context.ts';
import { applyDeviceRequests } from './device-requests.ts';
import { wantedDevices } from './devices.ts';
import { hasOwnKernel } from '../create/isolation.ts';
import { guestHost, guestOptions } from './guest.ts';
import { updateParentsHosts, writeEtcFiles } from './etc-files.ts';
import { hasHealthcheck, newHealth } from '../supervise/health.ts';
import { makeDirectories } from '../filesystem/make-directories.ts';
import { joinNamespaces, networkTarget, prepareNextNetns } from './join-namespaces.ts';
import { makeMountPoints } from '../filesystem/mount-points.ts';
import { mountRootfs } from '../filesystem/mount-rootfs.ts';
import { readyMounts } from '../filesystem/mount-sources.ts';
import { logTarget } from '../logs/log-target.ts';
import { parseNetworkMode } from '../namespace-modes.ts';
import { checkedPropagation } from '../filesystem/propagation.ts';
import { linkVariables, liveLinks } from '../create/links.ts';
import { type ContainerRecord, isRunning, type MountPoint } from '../record.ts';
import { containerSpec } from './spec.ts';
import { type StartFailure, startFailure } from './start-error.ts';
import { lookupUser, UNKNOWN_USER } from './user.ts';

/**
 * Runs a container's process: mounts its filesystem, joins it to its network, writes the bundle and hands it to the runtime.
 * The caller holds the container's lock. Whatever fails, all that was made is taken back and the record says why.
 */
export async function startContainer(
  context: ContainerContext,
  container: Container,
  checkpoint?: Checkpoint,
): Promise<void> {
  const { record } = container;
  refuseUnstartable(container);
  const phases = context.logger.phases('start');
  await using undo = new AsyncDisposableStack();
  try {
    await run(context, container, undo, phases, checkpoint);
  } catch (error) {
    const { exitCode, error: failure } = explain(error);
    Object.assign(record.state, { status: 'exited', exitCode, error: failure.message, pid: 0 });
    if (record.state.startedAt.startsWith('0001')) record.state.status = 'created';
    record.endpoints = [];
    record.guestLink = undefined;
    container.task = undefined;
    context.containers.save(container);
    for (const pending of container.pendingAttaches) pending.reject(failure);
    container.pendingAttaches.clear();
    throw failure;
  }
  undo.move();
  phases.done({ id: shortId(record.id) });
}

export function refuseUnstartable(container: Container): void {
  const { status } = container.record.state;
  if (status === 'paused') throw conflict('cannot start a paused container, try unpause instead');
  if (isRunning(container.record)) throw notModified('container is already running');
  if (status === 'removing' || status === 'dead') {
    throw conflict('container is marked for removal and cannot be started');
  }
}

async function run(
  context: ContainerContext,
  container: Container,
  undo: AsyncDisposableStack,
  phases: Phases,
  checkpoint: Checkpoint | undefined,
): Promise<void> {
  const { record } = container;
  const { id } = record;
  const runtime = runtimeOf(context, record.runtime);
  const isGuest = hasOwnKernel(runtime);
  let rootfs = '';
  if (!isGuest) {
    rootfs = await mountRootfs(context, record, { volatile: record.hostConfig.AutoRemove ?? false });
    undo.defer(() => context.rootfs.unmount(id));
    phases.mark('rootfs');
  }
  const { namespaces, sharedMemory, guestNetwork } = await joinNamespaces(context, container, undo, {
    isGuest,
    ...(checkpoint === undefined ? {} : { formerAddresses: checkpoint.addresses }),
  });
  phases.mark('network');
  const { mounts, passages } = await readyMounts(context, record, undo);
  using _ = passages;
  const { dataRoot } = context.paths;
  if (!isGuest) preparePlaces(record, rootfs, mounts);
  const user = isGuest
    ? UNKNOWN_USER
    : lookupUser(rootfs, record.config.User ?? '', record.hostConfig.GroupAdd);
  const etcOwner = etcOwnerOf(context, record);
  const links = liveLinks(context, record);
  if (etcOwner === id) writeEtcFiles(context, record, links);
  const etcFiles = {
    '/etc/hostname': context.paths.etcFile(etcOwner, 'hostname'),
    '/etc/hosts': context.paths.etcFile(etcOwner, 'hosts'),
    '/etc/resolv.conf': context.paths.etcFile(etcOwner, 'resolv.conf'),
  };
  const spec = containerSpec(
    record,
    {
      rootfs,
      user,
      hostname: record.config.Hostname || hostname(),
      cgroupsPath: cgroupsPathOf(
        id,
        record.hostConfig.CgroupParent || context.defaults.cgroupParent,
        context.defaults.cgroupDriver,
      ),
      namespaces,
      sharedMemory,
      mounts: mounts.map((mount) => checkedPropagation(mount, dataRoot)),
      etcFiles,
      init: (record.hostConfig.Init ?? context.defaults.init) ? context.defaults.initPath : undefined,
      devices: wantedDevices(record.hostConfig),
      defaultRlimits: context.defaults.rlimits,
      linkVariables: links.flatMap((link) => linkVariables(record.name, link)),
      security: context.defaults.security,
    },
    isGuest ? guestHost(context, runtime) : context.host,
  );
  await applyDeviceRequests(spec, record.hostConfig.DeviceRequests ?? [], {
    cdiDirectories: context.defaults.cdiDirectories,
    logger: context.logger,
  });
  const bundle = context.paths.bundle(id);
  // Roots of user namespaces pass here, also when the first container has a kernel of its own.
  mkdirSync(context.paths.bundles, { recursive: true, mode: 0o711 });
  mkdirSync(bundle, { recursive: true, mode: 0o710 });
  const directory = context.paths.task(id);
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  undo.defer(() => rmSync(directory, { recursive: true, force: true }));
  // What a restarted engine must give back if this one dies from here on.
  context.containers.save(container);
  phases.mark('bundle');

  const io = await taskIo(context, container);
  const from = checkpoint === undefined ? {} : { checkpoint: checkpoint.directory };
  const guest = isGuest
    ? { guest: guestOptions(context, record, Object.values(etcFiles), guestNetwork) }
    : {};
  const task = await runtime.create({ id, bundle, spec, directory, io, ...from, ...guest });
  undo.defer(() => task.remove());
  phases.mark('monitor');
  // Before the process runs, so that they get its first byte.
  const attaches = [...container.pendingAttaches].map((pending) =>
    task.attach(pending.want).then(pending.resolve, pending.reject),
  );
  container.pendingAttaches.clear();
  await Promise.all(attaches);
  try {
    const started = task.start();
    // While the runtime works.
    prepareNextNetns(context, record);
    await started;
  } catch (error) {
    if (checkpoint !== undefined) throw notRestored(record, checkpoint, error);
    throw new ProcessNotRun(startFailure(record.runtime, messageOf(error), record.path), error);
  }
  phases.mark('runtime');
  container.task = task;
  Object.assign(record.state, {
    status: 'running',
    pid: task.pid,
    exitCode: 0,
    error: '',
    oomKilled: false,
    startedAt: nowTimestamp(),
    stoppedByUser: false,
    health: hasHealthcheck(record.config.Healthcheck) ? newHealth(record.state.health) : undefined,
  });
  context.containers.save(container);
  await updateParentsHosts(context, record);
  publish(context.events, container, 'start');
}

/** Whose files in /etc it has: at the end of a chain of shared networks. */
function etcOwnerOf(context: ContainerContext, { id, hostConfig }: ContainerRecord): string {
  const network = parseNetworkMode(hostConfig.NetworkMode);
  if (network.kind !== 'container') return id;
  return etcOwnerOf(context, networkTarget(context, network.reference).record);
}

/** What mounts and the process need in the root filesystem. */
function preparePlaces(record: ContainerRecord, rootfs: string, mounts: readonly MountPoint[]): void {
  const owner = record.idMapping && mappedRoot(record.idMapping);
  makeMountPoints(rootfs, mounts, owner);
  if (record.config.WorkingDir) makeWorkingDirectory(rootfs, record.config.WorkingDir, owner);
}

/** What went wrong, with the exit code that the record and the clients get for it. */
function explain(error: unknown): StartFailure {
  if (error instanceof ProcessNotRun) return error.failure;
  return {
    error: error instanceof EngineError ? error : internal(messageOf(error), { cause: error }),
    exitCode: 128,
  };
}

function notRestored({ name }: ContainerRecord, { directory }: Checkpoint, error: unknown): EngineError {
  const words = `Cannot restore container ${name} from checkpoint ${path.basename(directory)}: ${messageOf(error)}`;
  return internal(words, { cause: error });
}

/** All was ready, and the runtime could not run the command. */
class ProcessNotRun extends Error {
  readonly failure: StartFailure;

  constructor(failure: StartFailure, cause: unknown) {
    super(failure.error.message, { cause });
    this.failure = failure;
  }
}

export function runtimeOf(context: ContainerContext, name: string): Runtime {
  const runtime = context.runtimes.get(name);
  if (runtime === undefined) throw invalid(`unknown or invalid runtime name: ${name}`);
  return runtime;
}

function makeWorkingDirectory(rootfs: string, directory: string, owner: Owner | undefined): void {
  const target = resolveInRoot(rootfs, directory);
  try {
    makeDirectories(target, owner);
  } catch (error) {
    if (errnoCode(error) === 'EEXIST' || errnoCode(error) === 'ENOTDIR') {
      throw invalid(`Cannot mkdir: ${directory} is not a directory`, { cause: error });
    }
    throw error;
  }
}

async function taskIo(context: ContainerContext, container: Container): Promise<TaskIo> {
  const { record } = container;
  const { config, hostConfig, idMapping } = record;
  const [rows, columns] = hostConfig.ConsoleSize ?? [];
  const log = await logTarget(record, { paths: context.paths, journalSocket: context.host.journalSocket });
  if (log?.file !== undefined) mkdirSync(path.dirname(log.file.path), { recursive: true, mode: 0o700 });
  return {
    terminal: config.Tty ?? false,
    stdin: config.OpenStdin ?? false,
    stdinOnce: config.StdinOnce ?? false,
    ...(idMapping === undefined ? {} : { owner: mappedRoot(idMapping) }),
    ...(rows && columns ? { size: { rows, columns } } : {}),
    ...(log === undefined ? {} : { log }),
  };
}
