import { readFileSync } from 'node:fs';

// The names of /proc/self/limits (proc_pid_limits(5)) and what setrlimit(2) calls them.
const NAMES: Record<string, string> = {
  'Max cpu time': 'RLIMIT_CPU',
  'Max file size': 'RLIMIT_FSIZE',
  'Max data size': 'RLIMIT_DATA',
  'Max stack size': 'RLIMIT_STACK',
  'Max core file size': 'RLIMIT_CORE',
  'Max resident set': 'RLIMIT_RSS',
  'Max processes': 'RLIMIT_NPROC',
  'Max open files': 'RLIMIT_NOFILE',
  'Max locked memory': 'RLIMIT_MEMLOCK',
  'Max address space': 'RLIMIT_AS',
  'Max file locks': 'RLIMIT_LOCKS',
  'Max pending signals': 'RLIMIT_SIGPENDING',
  'Max msgqueue size': 'RLIMIT_MSGQUEUE',
  'Max nice priority': 'RLIMIT_NICE',
  'Max realtime priority': 'RLIMIT_RTPRIO',
  'Max realtime timeout': 'RLIMIT_RTTIME',
};

/** What this process may give to its children. */
export interface OwnLimits {
  /** Hard limits by `RLIMIT_…` name; those without a limit are not in it. Empty when this process may raise them. */
  hard: Record<string, number>;
  /** The bounding set, as the hexadecimal mask of /proc/self/status. */
  capabilityMask: string;
  oomScoreAdj: number;
  /** CAP_SYS_RESOURCE: raise hard limits, lower the OOM score. */
  mayRaise: boolean;
}

const CAP_SYS_RESOURCE = 24n;

export function ownLimits(): OwnLimits {
  const status = readFileSync('/proc/self/status', 'utf8');
  const bounding = /^CapBnd:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? '0';
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? '0';
  const mayRaise = ((BigInt(`0x${effective}`) >> CAP_SYS_RESOURCE) & 1n) === 1n;
  return {
    hard: mayRaise ? {} : hardLimits(readFileSync('/proc/self/limits', 'utf8')),
    capabilityMask: bounding,
    oomScoreAdj: Number(readFileSync('/proc/self/oom_score_adj', 'utf8')),
    mayRaise,
  };
}

/** Name, soft limit, hard limit and unit stand in columns two or more blanks apart. */
export function hardLimits(text: string): Record<string, number> {
  const limits: Record<string, number> = {};
  for (const line of text.split('\n').slice(1)) {
    const [name = '', , hard = ''] = line.split(/\s{2,}/);
    const limit = NAMES[name];
    if (limit !== undefined && hard !== 'unlimited') limits[limit] = Number(hard);
  }
  return limits;
}
