import type { CgroupDriver } from './create/cgroup-parent.ts';
import path from 'node:path';
import type { KeyedLock } from '#/base/locks.ts';
import type { Logger } from '#/base/log.ts';
import { shortId } from '#/base/ids.ts';
import type { Trash } from '#/host/trash.ts';
import type { CgroupSupport } from '#/host/cgroup-support.ts';
import type { Images } from '#/image/images.ts';
import type { Networks } from '#/network/networks.ts';
import type { RuntimeRlimit } from '#/oci/runtime-spec.ts';
import type { Runtime } from '#/runtime/runtime.ts';
import type { Snapshotter } from '#/snapshot/snapshotter.ts';
import type { EventLog } from '#/state/events.ts';
import type { Volumes } from '#/volume/volumes.ts';
import type { Container, Containers } from './containers.ts';
import type { LogConfig } from './logs/log-drivers.ts';
import type { RootFilesystems } from './filesystem/rootfs.ts';
import type { SecurityDefaults, SpecHost } from './start/spec.ts';
import type { UserNamespaces } from './start/user-namespaces.ts';

/** What the classes of this room share: built once in `main/engine.ts`. */
export interface ContainerContext {
  containers: Containers;
  locks: KeyedLock;
  images: Images;
  networks: Networks;
  volumes: Volumes;
  snapshotter: Snapshotter;
  rootfs: RootFilesystems;
  userNamespaces: UserNamespaces;
  runtimes: ReadonlyMap<string, Runtime>;
  events: EventLog;
  logger: Logger;
  paths: ContainerPaths;
  /** For what lies under each of the roots. */
  trash: { data: Trash; exec: Trash };
  host: SpecHost & { journalSocket: string };
  limits: CgroupSupport;
  defaults: ContainerDefaults;
}

/** What the daemon's configuration says for containers that say nothing; reloaded by replacing its fields. */
export interface ContainerDefaults {
  runtime: string;
  log: LogConfig;
  rlimits: RuntimeRlimit[];
  security: SecurityDefaults;
  init: boolean;
  /** A static init program (tini); undefined when this host has none. */
  initPath: string | undefined;
  shmSize: number;
  /** Bytes that a container may write; 0 for as many as there is room for. */
  storageSize: number;
  ipcMode: string;
  /** Undefined: private where the host has cgroups v2, the host's where it has v1. */
  cgroupnsMode: string | undefined;
  cgroupDriver: CgroupDriver;
  /** A slice for systemd, else a path below the hierarchies' roots. */
  cgroupParent: string;
  /** Where the files of the Container Device Interface are, the lowest precedence first. */
  cdiDirectories: string[];
  /** Seconds a container has to stop before it is killed. */
  stopTimeout: number;
}

/** Where a container's things are. Data survives a reboot, the rest does not. */
export class ContainerPaths {
  readonly #dataRoot: string;
  readonly #execRoot: string;

  constructor(dataRoot: string, execRoot: string) {
    this.#dataRoot = dataRoot;
    this.#execRoot = execRoot;
  }

  get dataRoot(): string {
    return this.#dataRoot;
  }

  /** The log and the generated /etc files. */
  data(id: string): string {
    return path.join(this.#dataRoot, 'containers', id);
  }

  /** The log, by who keeps it: a driver, or the cache of one that cannot be read. */
  log(id: string, keeper: 'json-file' | 'local' | 'cache'): string {
    const name = {
      'json-file': `${id}-json.log`,
      local: 'local-logs/container.log',
      cache: 'container-cached.log',
    }[keeper];
    return path.join(this.data(id), name);
  }

  etcFile(id: string, name: 'hostname' | 'hosts' | 'resolv.conf'): string {
    return path.join(this.data(id), name);
  }

  /** The OCI bundle, and under it the mounted root filesystem. */
  bundle(id: string): string {
    return path.join(this.#execRoot, 'containers', id);
  }

  /** /dev/shm of a container whose IPC others may join. */
  shm(id: string): string {
    return path.join(this.bundle(id), 'shm');
  }

  /** Where a part of a volume, or an image, is mounted for as long as it takes to mount it in the container. Never deleted with what is in it. */
  passage(id: string, index: number): string {
    return path.join(this.passages, `${id}-${index}`);
  }

  get passages(): string {
    return path.join(this.#execRoot, 'passages');
  }

  get bundles(): string {
    return path.join(this.#execRoot, 'containers');
  }

  /** The monitor's files. Half an id is as unique, and a socket's path must fit into 108 bytes (unix(7)). */
  task(id: string): string {
    return path.join(this.#execRoot, 'tasks', id.slice(0, 32));
  }

  netns(id: string): string {
    return path.join(this.#execRoot, 'netns', shortId(id));
  }

  /** Of a guest that shares a network: the namespace that is shared, or the one between, of which `netns` is the other. */
  secondNetns(id: string): string {
    return `${this.netns(id)}.second`;
  }

  get namespaces(): string {
    return path.join(this.#execRoot, 'netns');
  }

  userns(id: string): string {
    return path.join(this.userNamespaces, shortId(id));
  }

  get userNamespaces(): string {
    return path.join(this.#execRoot, 'userns');
  }
}

/** Tells what happened to a container, with the attributes that Docker's events have. */
export function publish(
  events: EventLog,
  container: Container,
  action: string,
  attributes: Record<string, string> = {},
): void {
  const { record } = container;
  events.publish({
    type: 'container',
    action,
    id: record.id,
    attributes: {
      ...record.config.Labels,
      image: record.config.Image ?? record.image,
      name: record.name,
      ...attributes,
    },
  });
}
