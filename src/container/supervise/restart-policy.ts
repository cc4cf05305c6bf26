import type { RestartPolicy } from '#/wire/generated.ts';

// Docker's back-off: doubled after each quick failure, forgotten after a run of ten seconds.
const FIRST_DELAY_MS = 100;
const LONGEST_DELAY_MS = 60_000;
const STEADY_MS = 10_000;

export interface RestartDecision {
  delayMs: number;
}

/** Whether a container that has just exited is started again, and after how long; pure. */
export function decideRestart(
  policy: RestartPolicy | undefined,
  exit: { code: number; ranMs: number; restarts: number; stoppedByUser: boolean; lastDelayMs: number },
): RestartDecision | undefined {
  if (policy?.Name === undefined || policy.Name === '' || policy.Name === 'no') return undefined;
  if (exit.stoppedByUser) return undefined;
  if (policy.Name === 'on-failure') {
    const limit = policy.MaximumRetryCount ?? 0;
    if (exit.code === 0 || (limit > 0 && exit.restarts >= limit)) return undefined;
  }
  const delayMs =
    exit.ranMs >= STEADY_MS || exit.lastDelayMs === 0
      ? FIRST_DELAY_MS
      : Math.min(exit.lastDelayMs * 2, LONGEST_DELAY_MS);
  return { delayMs };
}

/**
 * Whether an engine that starts also starts a container that does not run: after a reboot, or when it was down while the container
 * ended; pure. As Docker has it, `always` means also what a client had stopped before.
 */
export function startsWithEngine(
  policy: RestartPolicy | undefined,
  state: { startedBefore: boolean; exitCode: number; restarts: number; stoppedByUser: boolean },
): boolean {
  if (!state.startedBefore) return false;
  switch (policy?.Name) {
    case 'always':
      return true;
    case 'unless-stopped':
      return !state.stoppedByUser;
    case 'on-failure': {
      const limit = policy.MaximumRetryCount ?? 0;
      return !state.stoppedByUser && state.exitCode !== 0 && (limit === 0 || state.restarts < limit);
    }
    default:
      return false;
  }
}
