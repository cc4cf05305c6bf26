import { mkdirSync, readFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { Engine } from '#/api/server/engine.ts';
import { engineVersion } from '#/api/server/engine-version.ts';
import { invalid, messageOf } from '#/base/errors.ts';
import { KeyedLock } from '#/base/locks.ts';
import type { Logger } from '#/base/log.ts';
import { cdiDeviceNames, readCdiRegistry } from '#/container/start/cdi-registry.ts';
import { Containers } from '#/container/containers.ts';
import { commitContainer } from '#/container/files/commit.ts';
import { type ContainerContext, type ContainerDefaults, ContainerPaths } from '#/container/context.ts';
import { Checkpoints } from '#/container/checkpoints.ts';
import { Execs } from '#/container/execs.ts';
import { Exits } from '#/container/supervise/exits.ts';
import { Health } from '#/container/supervise/health.ts';
import { Files } from '#/container/files/files.ts';
import { Lifecycle } from '#/container/lifecycle.ts';
import { actOnUnhealthy } from '#/container/supervise/on-unhealthy.ts';
import { Queries } from '#/container/view/queries.ts';
import { isRunning, layersOf, mountedImages } from '#/container/record.ts';
import { restartPolicies, restoreContainers } from '#/container/supervise/restore.ts';
import { RootFilesystems } from '#/container/filesystem/rootfs.ts';
import { Stats } from '#/container/view/stats.ts';
import { Streams } from '#/container/streams.ts';
import { DirectoryContentStore } from '#/content/directory-content-store.ts';
import { hasAppArmor, loadAppArmorProfiles } from '#/host/apparmor.ts';
import { cgroupSupport } from '#/host/cgroup-support.ts';
import { Cgroup } from '#/host/cgroups.ts';
import { ownLimits } from '#/host/own-limits.ts';
import { isSystemdHost } from '#/host/systemd.ts';
import { Trash } from '#/host/trash.ts';
import { Images } from '#/image/images.ts';
import { instanceName } from '#/network/network-options.ts';
import { Networks } from '#/network/networks.ts';
import { APPARMOR_PROFILE, apparmorProfileText } from '#/oci/apparmor-profile.ts';
import { capabilitiesOfMask } from '#/oci/capabilities.ts';
import { parseSeccompProfile } from '#/oci/seccomp.ts';
import { prepareHost } from '#/runtime/oci/prepare-host.ts';
import { Database } from '#/state/database.ts';
import { EventLog } from '#/state/events.ts';
import { Leases } from '#/state/leases.ts';
import { Volumes } from '#/volume/volumes.ts';
import type { SystemInfo } from '#/wire/generated.ts';
import type { DaemonConfig } from './daemon-config.ts';
import { type CgroupPlace, cgroupPlace } from './cgroup-driver.ts';
import { engineId } from './engine-id.ts';
import { Programs } from './programs.ts';
import { reloadAttributes } from './reload-attributes.ts';
import { openStorage } from './open-storage.ts';
import { builtProgram, initProgram, openRuntimes } from './open-runtimes.ts';
import { systemInfo } from './system-info.ts';
import { openUserNamespaces } from './userns-remap.ts';

/** An engine at work. Containers run on when it shuts down, and the next engine on the data root finds them. */
export interface RunningEngine {
  /** What the API serves. */
  readonly api: Engine;
  /** Takes over what may change while it runs. */
  reload(config: DaemonConfig): void;
  /** Puts everything down; stops the containers first where live restore is off. */
  shutdown(): Promise<void>;
}

// systemd-journald.service(8)
const JOURNAL_SOCKET = '/run/systemd/journal/socket';

/**
 * Builds the engine of a data root: every object of the daemon is made here, lowest room first, and then brought to what the
 * records say. The caller sees to it that no other process uses the same data root.
 */
export async function startEngine(config: DaemonConfig, logger: Logger): Promise<RunningEngine> {
  const phases = logger.phases('engine start');
  const dataRoot = path.resolve(config.dataRoot);
  const execRoot = path.resolve(config.execRoot);
  mkdirSync(dataRoot, { recursive: true, mode: 0o711 });
  mkdirSync(execRoot, { recursive: true, mode: 0o711 });

  const database = new Database(path.join(dataRoot, 'hull.db'));
  const events = new EventLog();
  const leases = new Leases(database);
  const layerMounts = path.join(execRoot, 'layers');
  const disks = path.join(execRoot, 'disks');
  const snapshotter = openStorage({
    root: dataRoot,
    mountRoot: layerMounts,
    diskRoot: disks,
    driver: config.storageDriver,
    logger,
  });
  await snapshotter.tidy();
  const content = await DirectoryContentStore.open(path.join(dataRoot, 'content'));
  phases.mark('store');

  const trash = {
    data: new Trash(path.join(dataRoot, 'trash')),
    exec: new Trash(path.join(execRoot, 'trash')),
  };
  const layout = await prepareHost(logger);
  const instance = instanceName(dataRoot);
  const cgroups = cgroupPlace(
    config.container,
    { version: layout.version, systemd: isSystemdHost() },
    instance,
  );
  const runtimes = await openRuntimes(config, { layout, cgroups, logger, trash: trash.exec });
  phases.mark('runtime');

  const containers = new Containers(database);
  const paths = new ContainerPaths(dataRoot, execRoot);
  const rootfs = new RootFilesystems(snapshotter, {
    directory: paths.bundles,
    initLayers: path.join(execRoot, 'init'),
    layers: layerMounts,
    disks,
  });
  const userNamespaces = await openUserNamespaces({
    setting: config.usernsRemap,
    program: builtProgram('hull-namespaces'),
    directory: paths.userNamespaces,
    roots: [dataRoot, execRoot],
    logger,
  });
  const networks = new Networks({
    database,
    events,
    logger,
    options: { ...config.network, instance },
  });
  const volumes = new Volumes({
    database,
    events,
    root: path.join(dataRoot, 'volumes'),
    users: (name) =>
      containers
        .all()
        .filter(({ record }) => record.mounts.some((mount) => mount.type === 'volume' && mount.name === name))
        .map(({ id }) => id),
  });
  const images = new Images({
    database,
    events,
    leases,
    content,
    snapshotter,
    logger,
    users: {
      usersOf: (image) =>
        containers
          .all()
          .filter(({ record }) => record.image === image || mountedImages(record).includes(image))
          .map(({ id, record }) => ({ id, running: isRunning(record) })),
      layersInUse: () => containers.all().flatMap(({ record }) => layersOf(record)),
    },
    mounts: { unmount: (diffId) => rootfs.unmountLayer(diffId) },
  });

  const support = cgroupSupport(layout);
  const own = ownLimits();
  const defaults = containerDefaults(config, [...runtimes.keys()][0] ?? '', cgroups);
  const context: ContainerContext = {
    containers,
    locks: new KeyedLock(),
    images,
    networks,
    volumes,
    snapshotter,
    rootfs,
    userNamespaces,
    runtimes,
    events,
    logger,
    paths,
    trash,
    host: {
      cgroupVersion: layout.version,
      architecture: process.arch,
      kernel: os.release(),
      ...(await apparmor(logger)),
      capabilities: capabilitiesOfMask(own.capabilityMask),
      hardLimits: own.hard,
      oomScoreAdj: own.oomScoreAdj,
      canLowerOomScore: own.mayRaise,
      journalSocket: process.env['HULL_JOURNAL_SOCKET'] ?? JOURNAL_SOCKET,
    },
    limits: support,
    defaults,
  };
  const execs = new Execs(context);
  const health = new Health(context, execs);
  const exits = new Exits(context, health);
  await restoreContainers(context, exits);
  for (const runtime of runtimes.values()) await runtime.tidy?.();
  phases.mark('restore');
  await images.collectGarbage();
  phases.mark('garbage');
  phases.done();
  void restartPolicies(context, exits);

  let current = config;
  const checkpoints = new Checkpoints(context);
  checkpoints.clear();
  const lifecycle = new Lifecycle(context, exits, health, checkpoints);
  health.whenUnhealthy((container) => void actOnUnhealthy(lifecycle, logger, container));
  const programs = new Programs(defaults, (runtime) => runtimes.get(runtime)?.program ?? runtime);
  const info = async (): Promise<SystemInfo> =>
    systemInfo({
      id: engineId(dataRoot),
      containers,
      imageCount: images.records.all().length,
      dataRoot,
      storageDriver: snapshotter.name,
      userNamespaces: userNamespaces.isDefault,
      cgroupVersion: layout.version,
      support,
      apparmor: context.host.apparmorProfile !== undefined,
      devices: cdiDeviceNames(await readCdiRegistry(defaults.cdiDirectories)),
      volumeDrivers: volumes.drivers,
      eventReaders: events.readers,
      version: engineVersion().Version ?? '',
      config: current,
      defaults,
      runtimes: [...runtimes.keys()],
      ...(await programs.versions()),
    });
  return {
    api: {
      lifecycle,
      checkpoints,
      queries: new Queries(context, (id) => execs.idsOf(id)),
      streams: new Streams({ containers, events, paths }),
      stats: new Stats(containers),
      execs,
      files: new Files(context),
      commit: (reference, options, signal) => commitContainer(context, lifecycle, reference, options, signal),
      images,
      volumes,
      networks,
      events,
      system: { info, version: () => programs.version(current) },
    },
    reload: (next) => {
      const runtime = next.defaultRuntime ?? defaults.runtime;
      if (!runtimes.has(runtime)) throw invalid(`specified default runtime '${runtime}' does not exist`);
      current = next;
      Object.assign(defaults, containerDefaults(next, runtime, cgroups));
      events.publish({
        type: 'daemon',
        action: 'reload',
        id: engineId(dataRoot),
        attributes: { name: os.hostname(), ...reloadAttributes(next, defaults.runtime) },
      });
    },
    shutdown: async () => {
      if (!current.liveRestore) await stopAll(containers, lifecycle, current.shutdownTimeout, logger);
      exits.close();
      await images.layers.settled();
      // Running containers keep all they use; without any, nothing of ours stays on the host.
      await networks.cleanup();
      networks.close();
      await rootfs.settled();
      if (!containers.all().some(({ record }) => isRunning(record))) {
        rootfs.unmountAllLayers();
        userNamespaces.forgetAll();
        if (cgroups.driver === 'cgroupfs')
          new Cgroup(layout, path.posix.join('/', cgroups.parent)).removeIfEmpty();
      }
      await Promise.all([trash.data.settled(), trash.exec.settled()]);
      database[Symbol.dispose]();
    },
  };
}

async function stopAll(
  containers: Containers,
  lifecycle: Lifecycle,
  timeout: number,
  logger: Logger,
): Promise<void> {
  const running = containers.all().filter(({ record }) => isRunning(record));
  const stops = running.map(({ id }) => lifecycle.stop(id, { timeout, untilRestart: true }));
  for (const result of await Promise.allSettled(stops)) {
    if (result.status === 'rejected')
      logger.warn('Cannot stop a container', { error: messageOf(result.reason) });
  }
}

function containerDefaults(
  { container }: DaemonConfig,
  runtime: string,
  cgroups: CgroupPlace,
): ContainerDefaults {
  return {
    runtime,
    log: { Type: container.logDriver, Config: container.logOptions },
    rlimits: container.ulimits.map(({ name, soft, hard }) => ({
      type: `RLIMIT_${name.toUpperCase()}`,
      soft,
      hard,
    })),
    init: container.init,
    initPath: initProgram(container.initPath),
    shmSize: container.shmSize,
    security: {
      noNewPrivileges: container.noNewPrivileges,
      seccomp: seccompProfile(container.seccompProfile),
    },
    storageSize: container.storageSize,
    ipcMode: container.ipcMode,
    cgroupnsMode: container.cgroupnsMode,
    cgroupDriver: cgroups.driver,
    cgroupParent: cgroups.parent,
    cdiDirectories: container.cdiDirectories,
    stopTimeout: 10,
  };
}

/** The name of the profile that containers run under; nothing on a host without AppArmor or its parser. */
async function apparmor(logger: Logger): Promise<{ apparmorProfile?: string }> {
  if (!hasAppArmor()) return {};
  try {
    await loadAppArmorProfiles(apparmorProfileText());
    return { apparmorProfile: APPARMOR_PROFILE };
  } catch (error) {
    logger.warn('Containers run without AppArmor: cannot load its profile', { error: messageOf(error) });
    return {};
  }
}

/** The profile for containers that name none. A daemon that cannot read it does not start, as dockerd. */
function seccompProfile(setting: string): string {
  if (setting === 'builtin' || setting === 'unconfined') return setting;
  try {
    const text = readFileSync(setting, 'utf8');
    parseSeccompProfile(text);
    return text;
  } catch (error) {
    throw invalid(`opening seccomp profile (${setting}) failed: ${messageOf(error)}`, { cause: error });
  }
}
