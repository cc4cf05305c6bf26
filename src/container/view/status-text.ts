import { humanDuration } from './human-duration.ts';
import type { ContainerRecord, HealthState } from '../record.ts';

/** The status column of `ps`; pure. `now` in milliseconds since 1970. */
export function statusText({ state }: ContainerRecord, now: number): string {
  const since = (time: string): string => humanDuration(Math.max(0, now - Date.parse(time)));
  switch (state.status) {
    case 'running':
      return `Up ${since(state.startedAt)}${healthText(state.health)}`;
    case 'paused':
      return `Up ${since(state.startedAt)} (Paused)`;
    case 'restarting':
      return `Restarting (${state.exitCode}) ${since(state.finishedAt)} ago`;
    case 'removing':
      return 'Removal In Progress';
    case 'dead':
      return 'Dead';
    case 'created':
      return 'Created';
    default:
      return state.finishedAt.startsWith('0001')
        ? 'Created'
        : `Exited (${state.exitCode}) ${since(state.finishedAt)} ago`;
  }
}

function healthText(health: HealthState | undefined): string {
  if (health === undefined) return '';
  return health.status === 'starting' ? ' (health: starting)' : ` (${health.status})`;
}
