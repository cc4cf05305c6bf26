import { splitPair } from '../flags/comma-separated.ts';

const ULIMITS = new Set([
  'as',
  'core',
  'cpu',
  'data',
  'fsize',
  'locks',
  'memlock',
  'msgqueue',
  'nice',
  'nofile',
  'nproc',
  'rss',
  'rtprio',
  'rttime',
  'sigpending',
  'stack',
]);

export interface Ulimit {
  Name: string;
  Hard: number;
  Soft: number;
}

/** `nofile=1024:2048`, or one value for both limits; -1 is none. */
export function parseUlimit(value: string): Ulimit {
  const [name, limits] = splitPair(value);
  if (limits === undefined) throw new Error(`invalid ulimit argument: ${value}`);
  if (!ULIMITS.has(name)) throw new Error(`invalid ulimit type: ${name}`);
  const parts = limits.split(':');
  if (parts.length > 2)
    throw new Error(`too many limit value arguments - ${limits}, can only have up to two, \`soft[:hard]\``);
  const numbers = parts.map((part) => {
    if (!/^[+-]?\d+$/.test(part)) {
      throw new Error(`strconv.ParseInt: parsing ${JSON.stringify(part)}: invalid syntax`);
    }
    return Number(part);
  });
  const [soft = 0, hard = soft] = numbers;
  if (hard !== -1) {
    if (soft === -1)
      throw new Error(
        `ulimit soft limit must be less than or equal to hard limit: soft: -1 (unlimited), hard: ${hard}`,
      );
    if (soft > hard)
      throw new Error(`ulimit soft limit must be less than or equal to hard limit: ${soft} > ${hard}`);
  }
  return { Name: name, Hard: hard, Soft: soft };
}

const SYSCTLS = new Set([
  'kernel.msgmax',
  'kernel.msgmnb',
  'kernel.msgmni',
  'kernel.sem',
  'kernel.shmall',
  'kernel.shmmax',
  'kernel.shmmni',
  'kernel.shm_rmid_forced',
]);

/** Lets through the settings that belong to a container's own namespaces. */
export function checkSysctl(value: string): string {
  const [name, setting] = splitPair(value);
  const own = SYSCTLS.has(name) || name.startsWith('net.') || name.startsWith('fs.mqueue.');
  if (setting === undefined || !own) throw new Error(`sysctl '${value}' is not allowed`);
  return value;
}

export interface RestartPolicy {
  Name: string;
  MaximumRetryCount: number;
}

/** `no`, `always`, `unless-stopped`, `on-failure[:count]`; which of them exist is the daemon's to say. */
export function parseRestartPolicy(value: string): RestartPolicy {
  if (value === '') return { Name: 'no', MaximumRetryCount: 0 };
  const [name = '', count] = value.split(':');
  if (name === '') throw new Error('invalid restart policy format: no policy provided before colon');
  if (count === undefined || count === '') return { Name: name, MaximumRetryCount: 0 };
  if (!/^-?\d+$/.test(count)) {
    throw new Error('invalid restart policy format: maximum retry count must be an integer');
  }
  return { Name: name, MaximumRetryCount: Number(count) };
}
