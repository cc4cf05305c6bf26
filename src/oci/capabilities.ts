import { invalid } from '#/base/errors.ts';

import type { RuntimeCapabilities } from './runtime-spec.ts';

/** Every capability by its number (linux/capability.h), `CAP_` left out. */
export const CAPABILITIES = [
  'CHOWN',
  'DAC_OVERRIDE',
  'DAC_READ_SEARCH',
  'FOWNER',
  'FSETID',
  'KILL',
  'SETGID',
  'SETUID',
  'SETPCAP',
  'LINUX_IMMUTABLE',
  'NET_BIND_SERVICE',
  'NET_BROADCAST',
  'NET_ADMIN',
  'NET_RAW',
  'IPC_LOCK',
  'IPC_OWNER',
  'SYS_MODULE',
  'SYS_RAWIO',
  'SYS_CHROOT',
  'SYS_PTRACE',
  'SYS_PACCT',
  'SYS_ADMIN',
  'SYS_BOOT',
  'SYS_NICE',
  'SYS_RESOURCE',
  'SYS_TIME',
  'SYS_TTY_CONFIG',
  'MKNOD',
  'LEASE',
  'AUDIT_WRITE',
  'AUDIT_CONTROL',
  'SETFCAP',
  'MAC_OVERRIDE',
  'MAC_ADMIN',
  'SYSLOG',
  'WAKE_ALARM',
  'BLOCK_SUSPEND',
  'AUDIT_READ',
  'PERFMON',
  'BPF',
  'CHECKPOINT_RESTORE',
].map((name) => `CAP_${name}`);

/** What a container has when nothing is said: Docker's fourteen, in Docker's order. */
export const DEFAULT_CAPABILITIES: readonly string[] = [
  'CAP_CHOWN',
  'CAP_DAC_OVERRIDE',
  'CAP_FSETID',
  'CAP_FOWNER',
  'CAP_MKNOD',
  'CAP_NET_RAW',
  'CAP_SETGID',
  'CAP_SETUID',
  'CAP_SETFCAP',
  'CAP_SETPCAP',
  'CAP_NET_BIND_SERVICE',
  'CAP_SYS_CHROOT',
  'CAP_KILL',
  'CAP_AUDIT_WRITE',
];

const ALL = 'ALL';

/** The names in a capability mask as `/proc/<pid>/status` has it (`CapBnd`), in hexadecimal. */
export function capabilitiesOfMask(hexadecimal: string): string[] {
  const mask = BigInt(`0x${hexadecimal.trim()}`);
  return CAPABILITIES.filter((_, bit) => (mask >> BigInt(bit)) & 1n);
}

/**
 * Names as clients give them (`sys_admin`, `CAP_SYS_ADMIN`, `all`) in the kernel's spelling. `invalid` in Docker's words for an
 * unknown one and for one that is not among `available`. `option` is `CapAdd` or `CapDrop`.
 */
export function normalizeCapabilities(
  option: string,
  names: readonly string[],
  available: readonly string[] = CAPABILITIES,
): string[] {
  return names.map((given) => {
    const upper = given.toUpperCase();
    if (upper === ALL) return ALL;
    const name = upper.startsWith('CAP_') ? upper : `CAP_${upper}`;
    if (!CAPABILITIES.includes(name)) throw invalid(`invalid ${option}: unknown capability: "${name}"`);
    if (!available.includes(name)) {
      throw invalid(
        `invalid ${option}: capability not supported by your kernel or not available in the current environment: "${name}"`,
      );
    }
    return name;
  });
}

export interface CapabilityChoice {
  add?: readonly string[] | null;
  drop?: readonly string[] | null;
  privileged?: boolean;
  /** What this host can give (`capabilitiesOfMask` of the engine's bounding set); every known one without it. */
  available?: readonly string[];
}

/** The capabilities of a container, by Docker's rules for --cap-add, --cap-drop, ALL and --privileged. */
export function capabilitySet(choice: CapabilityChoice): string[] {
  const available = choice.available ?? CAPABILITIES;
  const add = normalizeCapabilities('CapAdd', choice.add ?? [], available);
  // Dropping what the host cannot give is no error: it is already gone.
  const drop = normalizeCapabilities('CapDrop', choice.drop ?? []);
  if (choice.privileged === true) return [...available];
  const base = add.includes(ALL) ? available : drop.includes(ALL) ? [] : DEFAULT_CAPABILITIES;
  const kept = base.filter((name) => available.includes(name) && !drop.includes(name));
  return [...new Set([...kept, ...add.filter((name) => name !== ALL)])];
}

/**
 * The sets of a process. A user other than root gets the bounding set only, as execve(2) would leave it: files with
 * capabilities and setuid programs still work. The inheritable set stays empty (CVE-2022-24769).
 */
export function processCapabilities(names: readonly string[], uid: number): RuntimeCapabilities {
  const bounding = [...names];
  return uid === 0 ? { bounding, effective: [...names], permitted: [...names] } : { bounding };
}
