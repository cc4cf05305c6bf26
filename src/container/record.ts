import type { ContainerConfig, EndpointSettings, HostConfig } from '#/wire/generated.ts';
import type { Endpoint } from '#/network/driver.ts';
import type { GuestLink } from '#/network/guest-link.ts';
import type { Digest } from '#/oci/digest.ts';
import type { IdMapping } from '#/oci/id-mapping.ts';

/** Everything that is remembered of a container: what survives the engine, in one JSON document a container. */
export interface ContainerRecord {
  /** 64 hexadecimal characters. */
  id: string;
  /** Without Docker's leading slash. */
  name: string;
  /** RFC 3339 with nanoseconds. */
  created: string;
  /** The image's id: the digest of its configuration. */
  image: Digest;
  layers: Digest[];
  /** The process as `inspect` shows it: entrypoint and command in one. */
  path: string;
  args: string[];
  /** The request's configuration, the image's merged in. */
  config: ContainerConfig;
  hostConfig: HostConfig;
  mounts: MountPoint[];
  /** Of its user namespace; it has none without. Its own for good, as its files' owners are by it. */
  idMapping?: IdMapping;
  state: ContainerState;
  /** Containers of the default bridge that it knows by an alias. */
  links?: Link[];
  networks: Record<string, EndpointSettings>;
  /** What the network drivers hold for the running container, so that it can be given back after a restart. */
  endpoints: Endpoint[];
  /** Likewise, of a guest with a kernel of its own that shares a network namespace. */
  guestLink?: GuestLink | undefined;
  restartCount: number;
  /** Name of the runtime that runs it. */
  runtime: string;
  /** Which engine's container root remapping etc. applies is in hostConfig; this is what the host could not give. */
  warnings: string[];
}

export interface Link {
  alias: string;
  /** The other container's: it may be gone. */
  id: string;
  name: string;
}

export type Status = 'created' | 'running' | 'paused' | 'restarting' | 'removing' | 'exited' | 'dead';

export interface ContainerState {
  status: Status;
  pid: number;
  exitCode: number;
  error: string;
  oomKilled: boolean;
  /** RFC 3339 with nanoseconds; Go's zero time when it never happened. */
  startedAt: string;
  finishedAt: string;
  /** A client asked it to stop, so restart policies leave it alone. */
  stoppedByUser: boolean;
  /** How long its restart policy made it wait the last time; the next wait depends on it. */
  restartDelayMs?: number | undefined;
  /** Of a container with a health check, from its first start on. */
  health?: HealthState | undefined;
}

export interface HealthState {
  status: 'starting' | 'healthy' | 'unhealthy';
  /** Failures in a row. */
  failingStreak: number;
  /** The last five, oldest first. */
  log: HealthResult[];
}

/** As `inspect` shows it; times in RFC 3339 with nanoseconds. */
export interface HealthResult {
  Start: string;
  End: string;
  ExitCode: number;
  Output: string;
}

/** One resolved mount of a container. */
export interface MountPoint {
  type: 'bind' | 'volume' | 'tmpfs' | 'image';
  /** The volume's name; the image's as it was asked for. */
  name?: string;
  /** Absolute path on the host; empty for tmpfs. Of an image its id. */
  source: string;
  /** Absolute path in the container. */
  destination: string;
  driver?: string;
  /** The mode words the client gave, `z,ro` and the like, as `inspect` shows them. */
  mode: string;
  readWrite: boolean;
  propagation: string;
  /** The client named the propagation, so it is kept to or refused. */
  propagationChosen?: boolean;
  /** The engine made the volume for this container alone: `rm -v` deletes it. */
  anonymous?: boolean;
  /** Do not fill a new volume from the image. */
  noCopy?: boolean;
  /** A bind whose missing source is to be made. */
  createSource?: boolean;
  /** Without the mounts below the source. */
  nonRecursive?: boolean;
  /** Read-only, and the mounts below it as they are. */
  readOnlyNonRecursive?: boolean;
  /** Refuse to start where the mounts below cannot be made read-only too. */
  readOnlyForceRecursive?: boolean;
  /** What the mount that the source is on forbids (`ro`, `nosuid`, …): found out at each start. */
  restrictions?: string[];
  /** The source is no directory: found out at each start. */
  isFile?: boolean;
  /** Directory or file inside the volume or image. */
  subpath?: string;
  /** The layers of a mounted image, base first: in use as long as the container is there. */
  layers?: Digest[];
  /** Options of a tmpfs as mount(8) has them. */
  tmpfs?: string;
}

export function isRunning(record: ContainerRecord): boolean {
  return record.state.status === 'running' || record.state.status === 'paused';
}

/** The images that a container has mounted, by id. */
export function mountedImages({ mounts }: ContainerRecord): string[] {
  return mounts.filter(({ type }) => type === 'image').map(({ source }) => source);
}

/** All layers that a container needs: its own image's and those of mounted ones. */
export function layersOf({ layers, mounts }: ContainerRecord): Digest[] {
  return [...layers, ...mounts.flatMap((mount) => mount.layers ?? [])];
}
