import { readFileSync } from 'node:fs';

import { errnoCode } from '#/base/errors.ts';
import { killPid } from '#/host/process.ts';

/** A process for ever: pids are reused, a pid together with its start time is not (until the next boot). */
export interface ProcessIdentity {
  pid: number;
  /** Clock ticks after boot: field 22 of /proc/<pid>/stat (proc(5)). */
  startTime: number;
}

/** The identity of a running process; undefined when there is none or only its zombie is left. */
export function identify(pid: number): ProcessIdentity | undefined {
  if (!Number.isInteger(pid) || pid <= 0) return undefined;
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  } catch (error) {
    // ESRCH: it ended between open and read.
    if (errnoCode(error) === 'ENOENT' || errnoCode(error) === 'ESRCH') return undefined;
    throw error;
  }
  // The command's name is in parentheses and may itself hold spaces and parentheses.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const state = fields[0];
  if (state === 'Z' || state === 'X') return undefined;
  return { pid, startTime: Number(fields[19]) };
}

export function isRunning(identity: ProcessIdentity): boolean {
  return identify(identity.pid)?.startTime === identity.startTime;
}

/** Signals the process unless its pid now belongs to another; false when it is gone. */
export function killProcess(identity: ProcessIdentity, signal: number): boolean {
  return isRunning(identity) && killPid(identity.pid, signal);
}
