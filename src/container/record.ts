import type { ContainerConfig, EndpointSettings, HostConfig } from '#/wire/generated.ts';
import type { Endpoint } from '#/network/driver.ts';
import type { Digest } from '#/oci/digest.ts';

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
  state: ContainerState;
  networks: Record<string, EndpointSettings>;
  /** What the network drivers hold for the running container, so that it can be given back after a restart. */
  endpoints: Endpoint[];
  restartCount: number;
  /** Name of the runtime that runs it. */
  runtime: string;
  /** Which engine's container root remapping etc. applies is in hostConfig; this is what the host could not give. */
  warnings: string[];
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
  type: 'bind' | 'volume' | 'tmpfs';
  /** The volume's name, for volumes. */
  name?: string;
  /** Absolute path on the host; empty for tmpfs. */
  source: string;
  /** Absolute path in the container. */
  destination: string;
  driver?: string;
  /** The mode words the client gave, `z,ro` and the like, as `inspect` shows them. */
  mode: string;
  readWrite: boolean;
  propagation: string;
  /** The engine made the volume for this container alone: `rm -v` deletes it. */
  anonymous?: boolean;
  /** Do not fill a new volume from the image. */
  noCopy?: boolean;
  /** A bind whose missing source is to be made. */
  createSource?: boolean;
  nonRecursive?: boolean;
  /** Directory inside the volume. */
  subpath?: string;
  tmpfs?: { size?: number; mode?: number; options: string[] };
}

export function isRunning(record: ContainerRecord): boolean {
  return record.state.status === 'running' || record.state.status === 'paused';
}
