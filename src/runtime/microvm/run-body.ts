import { invalid } from '#/base/errors.ts';
import { CAPABILITIES } from '#/oci/capabilities.ts';
import type { RuntimeProcess, RuntimeRlimit } from '#/oci/runtime-spec.ts';
import { Records, TAG } from './records.ts';

/** What a process is to be, beside what the specification's `process` says. */
export interface GuestProcess {
  /** As `--user` has it; the guest looks it up. */
  user: string;
  /** Further groups, names or numbers. */
  groups: readonly string[];
  stdin: boolean;
  size?: { rows: number; columns: number };
  /** For seccomp(2). */
  filter?: Buffer;
  privileged?: boolean;
  /** Nothing is executed: the process only keeps the container's mounts. */
  hold?: boolean;
}

/** setrlimit(2) on x86-64 and arm64. */
const RLIMITS = [
  'CPU',
  'FSIZE',
  'DATA',
  'STACK',
  'CORE',
  'RSS',
  'NPROC',
  'NOFILE',
  'MEMLOCK',
  'AS',
  'LOCKS',
  'SIGPENDING',
  'MSGQUEUE',
  'NICE',
  'RTPRIO',
  'RTTIME',
].map((name) => `RLIMIT_${name}`);

const SETS = ['bounding', 'effective', 'permitted', 'inheritable', 'ambient'] as const;

/** The body of RUN; pure. */
export function runBody(process: RuntimeProcess, guest: GuestProcess): Buffer {
  const body = new Records();
  body
    .texts(TAG.args, process.args)
    .texts(TAG.env, process.env ?? [])
    .text(TAG.cwd, process.cwd);
  if (guest.user !== '') body.text(TAG.user, guest.user);
  if (guest.groups.length > 0) body.texts(TAG.groups, guest.groups);
  if (process.terminal === true) {
    const size = Buffer.alloc(4);
    size.writeUInt16BE(guest.size?.rows ?? 0, 0);
    size.writeUInt16BE(guest.size?.columns ?? 0, 2);
    body.add(TAG.terminal, size);
  }
  if (guest.stdin) body.add(TAG.stdin);
  if (process.capabilities !== undefined) {
    const { capabilities } = process;
    const masks = Buffer.alloc(8 * SETS.length);
    for (const [index, set] of SETS.entries())
      masks.writeBigUInt64BE(maskOf(capabilities[set] ?? []), 8 * index);
    body.add(TAG.capabilities, masks);
  }
  for (const limit of process.rlimits ?? []) body.add(TAG.rlimit, encodeRlimit(limit));
  if (process.noNewPrivileges === true) body.add(TAG.noNewPrivileges);
  if (guest.filter !== undefined) body.add(TAG.seccomp, Buffer.concat([Buffer.alloc(4), guest.filter]));
  if (process.oomScoreAdj !== undefined) body.numbers(TAG.oomScoreAdj, process.oomScoreAdj);
  if (process.user.umask !== undefined) body.numbers(TAG.umask, process.user.umask);
  if (guest.privileged === true) body.add(TAG.privileged);
  if (guest.hold === true) body.add(TAG.hold);
  return body.encode();
}

/** RLIMIT's value. */
export function encodeRlimit({ type, soft, hard }: RuntimeRlimit): Buffer {
  const resource = RLIMITS.indexOf(type);
  if (resource === -1) throw invalid(`unknown limit ${type}`);
  const limit = Buffer.alloc(20);
  limit.writeUInt32BE(resource, 0);
  limit.writeBigUInt64BE(limitOf(soft), 4);
  limit.writeBigUInt64BE(limitOf(hard), 12);
  return limit;
}

function maskOf(names: readonly string[]): bigint {
  return names.reduce((mask, name) => {
    const bit = CAPABILITIES.indexOf(name);
    if (bit === -1) throw invalid(`unknown capability ${name}`);
    return mask | (1n << BigInt(bit));
  }, 0n);
}

/** -1, and what does not fit, is no limit. */
function limitOf(value: number): bigint {
  return value < 0 || value > Number.MAX_SAFE_INTEGER ? 0xffff_ffff_ffff_ffffn : BigInt(value);
}
