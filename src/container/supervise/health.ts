import { setTimeout as delay } from 'node:timers/promises';
import { messageOf } from '#/base/errors.ts';
import { shortId } from '#/base/ids.ts';
import { nowTimestamp } from '#/base/time.ts';
import type { HealthConfig } from '#/wire/generated.ts';
import type { Container } from '../containers.ts';
import { type ContainerContext, publish } from '../context.ts';
import type { Execs } from '../execs.ts';
import { probeCommand, runProbe } from './probe.ts';
import type { ContainerRecord, HealthResult, HealthState } from '../record.ts';

const NS_PER_MS = 1e6;
const DEFAULTS = { intervalMs: 30_000, timeoutMs: 30_000, startIntervalMs: 5000, retries: 3 };
const LOG_ENTRIES = 5;

/** Probes running containers that have a health check, and keeps in their records what it finds. */
export class Health {
  readonly #context: ContainerContext;
  readonly #execs: Execs;
  readonly #watches = new Map<string, AbortController>();
  #whenUnhealthy: (container: Container) => void = () => {};

  constructor(context: ContainerContext, execs: Execs) {
    this.#context = context;
    this.#execs = execs;
  }

  /** Sets who is told of each failed probe of an unhealthy container. */
  whenUnhealthy(listener: (container: Container) => void): void {
    this.#whenUnhealthy = listener;
  }

  /** From a start on, or from when it was found running, or after a pause. */
  watch(container: Container): void {
    this.#cancel(container.id);
    const command = this.#command(container.record);
    if (command === undefined || container.record.state.status !== 'running') return;
    const watch = new AbortController();
    this.#watches.set(container.id, watch);
    void this.#watch(container, command, watch.signal);
  }

  /** At a pause, and at the end of a run. The caller saves the record. */
  unwatch({ id, record }: Container): void {
    this.#cancel(id);
    // What nobody looks after counts as unhealthy (moby's container/health.go, CloseMonitorChannel).
    if (record.state.health !== undefined) record.state.health.status = 'unhealthy';
  }

  /** Containers run on; the next engine looks after them. */
  close(): void {
    for (const id of this.#watches.keys()) this.#cancel(id);
  }

  #cancel(id: string): void {
    this.#watches.get(id)?.abort();
    this.#watches.delete(id);
  }

  #command({ config, image }: ContainerRecord): string[] | undefined {
    if (!hasHealthcheck(config.Healthcheck)) return undefined;
    let shell = config.Shell;
    if (!shell?.length) {
      try {
        shell = this.#context.images.resolve(image).config.config?.Shell ?? undefined;
      } catch {
        // The image may have gone by force; then it is the usual shell.
      }
    }
    return probeCommand(config.Healthcheck, shell);
  }

  async #watch(container: Container, command: string[], signal: AbortSignal): Promise<void> {
    const { record } = container;
    const check = record.config.Healthcheck ?? {};
    record.state.health ??= newHealth();
    try {
      while (!signal.aborted) {
        await delay(nextDelayMs(record.state.health, check, msSince(record.state.startedAt)), undefined, {
          signal,
          ref: false,
        });
        const start = nowTimestamp();
        const startedMs = msSince(record.state.startedAt);
        const timeoutMs = milliseconds(check.Timeout, DEFAULTS.timeoutMs);
        const { exitCode, output } = await runProbe(this.#execs, container.id, command, timeoutMs);
        // It was paused or ended meanwhile, which says nothing about its health.
        if (signal.aborted) return;
        const result = { Start: start, End: nowTimestamp(), ExitCode: exitCode, Output: output };
        const before = record.state.health.status;
        record.state.health = nextHealth(record.state.health, check, result, startedMs);
        this.#context.containers.save(container);
        const { status } = record.state.health;
        if (status !== before) publish(this.#context.events, container, `health_status: ${status}`);
        if (status === 'unhealthy' && exitCode !== 0) this.#whenUnhealthy(container);
      }
    } catch (error) {
      if (signal.aborted) return;
      this.#context.logger.error('Cannot watch the health of a container', {
        id: shortId(container.id),
        error: messageOf(error),
      });
    }
  }
}

export function hasHealthcheck(check: HealthConfig | null | undefined): boolean {
  return probeCommand(check ?? undefined, undefined) !== undefined;
}

/** What a start makes of the health of the run before: the log stays. */
export function newHealth(before?: HealthState): HealthState {
  return { status: 'starting', failingStreak: 0, log: before?.log ?? [] };
}

/** How long to wait for the next probe; pure. */
export function nextDelayMs(health: HealthState, check: HealthConfig, sinceStartMs: number): number {
  const startPeriodMs = milliseconds(check.StartPeriod, 0);
  return health.status === 'starting' && sinceStartMs < startPeriodMs
    ? milliseconds(check.StartInterval, DEFAULTS.startIntervalMs)
    : milliseconds(check.Interval, DEFAULTS.intervalMs);
}

/**
 * The health after a probe; pure. Failures within the start period do not count as long as none has succeeded
 * (moby's daemon/health.go, handleProbeResult). `sinceStartMs`: how long the container ran when the probe began.
 */
export function nextHealth(
  before: HealthState,
  check: HealthConfig,
  result: HealthResult,
  sinceStartMs: number,
): HealthState {
  const log = [...before.log, result].slice(-LOG_ENTRIES);
  if (result.ExitCode === 0) return { status: 'healthy', failingStreak: 0, log };
  if (before.status === 'starting' && sinceStartMs < milliseconds(check.StartPeriod, 0)) {
    return { ...before, log };
  }
  const failingStreak = before.failingStreak + 1;
  const retries = (check.Retries ?? 0) > 0 ? (check.Retries ?? 0) : DEFAULTS.retries;
  return { status: failingStreak >= retries ? 'unhealthy' : before.status, failingStreak, log };
}

function milliseconds(nanos: number | undefined, fallback: number): number {
  return nanos ? nanos / NS_PER_MS : fallback;
}

function msSince(timestamp: string): number {
  return Date.now() - Date.parse(timestamp);
}
