import type { Readable } from 'node:stream';
import type { Filters } from '#/base/filters.ts';
import type { LogOptions } from '#/container/streams.ts';
import type { Platform } from '#/oci/platform.ts';
import type { Attachment, TerminalSize } from '#/runtime/runtime.ts';
import type { EventLog } from '#/state/events.ts';
import type {
  ContainerConfig,
  ContainerCreateBody,
  ContainerCreateResponse,
  ContainerInspectResponse,
  ContainerPruneResponse,
  ContainerStatsResponse,
  ContainerSummary,
  ContainerTopResponse,
  ContainerUpdateBody,
  ContainerWaitResponse,
  ExecConfig,
  ExecInspectResponse,
  ImageDeleteResponseItem,
  ImageHistoryResponseItem,
  ImageInspect,
  ImagePruneResponse,
  ImageSummary,
  NetworkCreateResponse,
  NetworkInspect,
  NetworkSummary,
  SystemInfo,
  SystemVersion,
  Volume,
  VolumePruneResponse,
} from '#/wire/generated.ts';
import type { CheckpointCreateRequest, CheckpointSummary } from '#/wire/undescribed.ts';
import type { StreamName } from './frames.ts';

/** What the API asks of the engine it serves; `main/engine.ts` builds one. Each part is one concern of one room. */
export interface Engine {
  readonly lifecycle: ContainerLifecycle;
  readonly queries: ContainerQueries;
  readonly streams: ContainerStreams;
  readonly stats: ContainerStats;
  readonly execs: ContainerExecs;
  readonly files: ContainerFiles;
  readonly checkpoints: ContainerCheckpoints;
  /** Makes an image of a container; its id. */
  commit(reference: string, options: CommitOptions, signal: AbortSignal): Promise<string>;
  readonly images: ImageStore;
  readonly volumes: VolumeStore;
  readonly networks: NetworkStore;
  readonly events: Pick<EventLog, 'subscribe' | 'publish' | 'readers'>;
  readonly system: SystemFacts;
}

export interface StopOptions {
  signal?: string;
  /** Seconds; -1 waits for ever; the container's own without it. */
  timeout?: number;
}

export interface ContainerLifecycle {
  create(options: {
    name?: string;
    platform?: string;
    /** Read-only binds leave what is mounted below their source as it is. */
    readOnlyNonRecursive?: boolean;
    body: ContainerCreateBody;
  }): Promise<ContainerCreateResponse>;
  /** From its program's beginning, or from a checkpoint. */
  start(reference: string, checkpoint?: CheckpointName): Promise<void>;
  stop(reference: string, options: StopOptions): Promise<void>;
  restart(reference: string, options: StopOptions): Promise<void>;
  kill(reference: string, signal?: string): Promise<void>;
  pause(reference: string): Promise<void>;
  unpause(reference: string): Promise<void>;
  update(reference: string, body: ContainerUpdateBody): Promise<{ Warnings: string[] }>;
  rename(reference: string, name: string): Promise<void>;
  /** Puts it behind the wall that `--isolation` would have put it behind: `container` or `vm`. */
  convert(reference: string, isolation: string): Promise<void>;
  resize(reference: string, size: TerminalSize): Promise<void>;
  remove(reference: string, options: { force: boolean; volumes: boolean; link: boolean }): Promise<void>;
  /** Resolves once the wait is registered. */
  wait(
    reference: string,
    condition: WaitCondition,
    signal: AbortSignal,
  ): Promise<{ result: Promise<ContainerWaitResponse> }>;
  prune(filters: Filters): Promise<ContainerPruneResponse>;
}

export type WaitCondition = 'not-running' | 'next-exit' | 'removed';

export interface ContainerQueries {
  list(options: {
    all: boolean;
    limit?: number;
    size: boolean;
    filters: Filters;
  }): Promise<ContainerSummary[]>;
  inspect(reference: string, options: { size: boolean }): Promise<ContainerInspectResponse>;
  top(reference: string, psArgs: string): Promise<ContainerTopResponse>;
}

export interface LogFrame {
  stream: StreamName;
  data: Buffer;
}

export interface StreamChoice {
  stdin: boolean;
  stdout: boolean;
  stderr: boolean;
}

export interface ContainerStreams {
  attach(
    reference: string,
    options: StreamChoice & { stream: boolean; logs: boolean },
    signal: AbortSignal,
  ): Promise<{
    terminal: boolean;
    backlog?: AsyncIterable<LogFrame>;
    attachment?: Promise<Attachment>;
    detached: () => void;
  }>;
  logs(
    reference: string,
    options: LogOptions,
    signal: AbortSignal,
  ): Promise<{ terminal: boolean; frames: AsyncIterable<LogFrame> }>;
}

export interface ContainerStats {
  samples(
    reference: string,
    options: { stream: boolean; oneShot: boolean },
    signal: AbortSignal,
  ): AsyncIterable<ContainerStatsResponse>;
}

export interface ContainerExecs {
  create(reference: string, config: ExecConfig): Promise<{ Id: string }>;
  start(
    id: string,
    options: { detach: boolean; tty: boolean; consoleSize?: TerminalSize },
  ): Promise<
    | {
        terminal: boolean;
        attachment: Promise<Attachment>;
        settled?: Promise<void>;
        detached: () => void;
      }
    | undefined
  >;
  inspect(id: string): Promise<ExecInspectResponse> | ExecInspectResponse;
  resize(id: string, size: TerminalSize): Promise<void>;
}

export interface ContainerFiles {
  stat(reference: string, path: string): Promise<object>;
  read(reference: string, path: string): Promise<{ stat: object; tar: AsyncIterable<Buffer> }>;
  write(
    reference: string,
    path: string,
    tar: Readable,
    options: { noOverwriteDirNonDir: boolean; copyUIDGID: boolean },
  ): Promise<void>;
  changes(reference: string): Promise<{ Path: string; Kind: number }[]>;
  export(reference: string): Promise<AsyncIterable<Buffer>>;
}

export interface CheckpointName {
  id: string;
  /** Where it is kept, when not with the container. */
  directory: string | undefined;
}

export interface ContainerCheckpoints {
  create(reference: string, request: CheckpointCreateRequest): Promise<void>;
  list(reference: string, directory?: string): CheckpointSummary[];
  remove(reference: string, checkpoint: CheckpointName): void;
}

export interface CommitOptions {
  reference?: string;
  author?: string;
  comment?: string;
  pause: boolean;
  changes: readonly string[];
  config: ContainerConfig;
}

/** A line of a progress stream, as `docker load` and `docker import` read it. */
export type Progress = object;

export interface ImageStore {
  load(
    tar: Readable,
    options: { quiet: boolean; platform?: Platform | undefined },
    signal: AbortSignal,
  ): AsyncIterable<Progress>;
  import(
    tar: Readable,
    options: { reference?: string; message?: string; changes: string[]; platform?: string },
    signal: AbortSignal,
  ): AsyncIterable<Progress>;
  save(
    references: readonly string[],
    options: { platforms: readonly Platform[] },
    signal: AbortSignal,
  ): Promise<Readable>;
  list(options: {
    all: boolean;
    filters: Filters;
    sharedSize: boolean;
    containers: boolean;
  }): Promise<ImageSummary[]>;
  inspect(reference: string, options: { platforms: readonly Platform[] }): Promise<ImageInspect>;
  history(
    reference: string,
    options: { platforms: readonly Platform[] },
  ): Promise<ImageHistoryResponseItem[]>;
  tag(reference: string, target: string): Promise<void>;
  remove(
    reference: string,
    options: { force: boolean; noPrune: boolean; platforms: readonly Platform[] },
  ): Promise<ImageDeleteResponseItem[]>;
  prune(filters: Filters): Promise<ImagePruneResponse>;
  /** Bytes of all layers, each counted once. */
  layersSize(): number;
  bootstrap(options: { reference: string; mirror?: string }, signal: AbortSignal): AsyncIterable<Progress>;
}

export interface VolumeStore {
  create(options: {
    name?: string;
    driver?: string;
    options?: Record<string, string>;
    labels?: Record<string, string>;
  }): Promise<Volume>;
  list(filters: Filters): Volume[] | Promise<Volume[]>;
  inspect(name: string): Volume | Promise<Volume>;
  remove(name: string, options: { force: boolean }): Promise<void>;
  prune(filters: Filters): Promise<VolumePruneResponse>;
  /** All volumes, with `UsageData`. */
  usage(): Promise<Volume[]>;
}

export interface NetworkStore {
  list(filters: Filters): NetworkSummary[] | Promise<NetworkSummary[]>;
  inspect(reference: string): NetworkInspect | Promise<NetworkInspect>;
  create(name: string): NetworkCreateResponse | Promise<NetworkCreateResponse>;
  remove(reference: string): void | Promise<void>;
  prune(): Promise<{ NetworksDeleted: string[] }>;
}

export interface SystemFacts {
  info(): Promise<SystemInfo>;
  version(): Promise<SystemVersion>;
}
