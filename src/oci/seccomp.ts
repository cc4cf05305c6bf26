import { invalid, messageOf } from '#/base/errors.ts';

import type { RuntimeSeccomp, RuntimeSyscallArgument, RuntimeSyscallRule } from './runtime-spec.ts';
import { DEFAULT_SECCOMP_PROFILE } from './seccomp-default-profile.ts';

/**
 * A seccomp profile in the format of `--security-opt seccomp=FILE`: the runtime specification's, plus rules that hold only
 * with certain capabilities, architectures or kernels, and a map from an architecture to those it can also run.
 */
export interface SeccompProfile {
  defaultAction: string;
  defaultErrnoRet?: number;
  architectures?: string[] | null;
  archMap?: { architecture: string; subArchitectures: string[] | null }[] | null;
  flags?: string[];
  listenerPath?: string;
  listenerMetadata?: string;
  syscalls: SeccompProfileRule[] | null;
}

export interface SeccompProfileRule {
  name?: string;
  names?: string[] | null;
  action: string;
  errnoRet?: number;
  args?: RuntimeSyscallArgument[] | null;
  includes?: SeccompCondition;
  excludes?: SeccompCondition;
}

/** In `includes` all must hold, in `excludes` one is enough. Architectures by Go's names: `amd64`, `arm64`. */
export interface SeccompCondition {
  arches?: string[] | null;
  caps?: string[] | null;
  /** `major.minor`. */
  minKernel?: string;
}

/** What the conditions of a profile are held against. */
export interface SeccompTarget {
  /** The container's bounding set. */
  capabilities: readonly string[];
  /** As `process.arch` says it. */
  architecture: string;
  /** As uname(2) says it: `6.1.0-18-amd64`. */
  kernel: string;
}

const ARCHITECTURES: Record<string, { go: string; seccomp: string }> = {
  x64: { go: 'amd64', seccomp: 'SCMP_ARCH_X86_64' },
  arm64: { go: 'arm64', seccomp: 'SCMP_ARCH_AARCH64' },
  arm: { go: 'arm', seccomp: 'SCMP_ARCH_ARM' },
  ia32: { go: '386', seccomp: 'SCMP_ARCH_X86' },
  ppc64: { go: 'ppc64le', seccomp: 'SCMP_ARCH_PPC64LE' },
  s390x: { go: 's390x', seccomp: 'SCMP_ARCH_S390X' },
  riscv64: { go: 'riscv64', seccomp: 'SCMP_ARCH_RISCV64' },
  loong64: { go: 'loong64', seccomp: 'SCMP_ARCH_LOONGARCH64' },
};

/** Docker's default profile for a container with these capabilities. */
export function defaultSeccomp(target: SeccompTarget): RuntimeSeccomp {
  return translateSeccomp(DEFAULT_SECCOMP_PROFILE, target);
}

/** A profile's text, checked for its shape only as far as the translation needs it; `invalid` in Docker's words. */
export function parseSeccompProfile(text: string): SeccompProfile {
  let profile: Partial<SeccompProfile> | null;
  try {
    profile = JSON.parse(text) as Partial<SeccompProfile> | null;
  } catch (cause) {
    throw invalid(`Decoding seccomp profile failed: ${messageOf(cause)}`, { cause });
  }
  if (typeof profile !== 'object' || profile === null || typeof profile.defaultAction !== 'string') {
    throw invalid('Decoding seccomp profile failed: no defaultAction');
  }
  if (profile.syscalls !== undefined && profile.syscalls !== null && !Array.isArray(profile.syscalls)) {
    throw invalid('Decoding seccomp profile failed: syscalls is not an array');
  }
  return { ...profile, defaultAction: profile.defaultAction, syscalls: profile.syscalls ?? [] };
}

/** The runtime specification's profile for one container: conditions decided, architectures chosen. */
export function translateSeccomp(profile: SeccompProfile, target: SeccompTarget): RuntimeSeccomp {
  const listed = profile.architectures ?? [];
  const mapped = profile.archMap ?? [];
  if (listed.length > 0 && mapped.length > 0) {
    throw invalid(
      "'architectures' and 'archMap' were specified in the seccomp profile, use either 'architectures' or 'archMap'",
    );
  }
  const own = ARCHITECTURES[target.architecture];
  const entry = mapped.find((each) => each.architecture === own?.seccomp);
  const architectures =
    entry === undefined ? [...listed] : [entry.architecture, ...(entry.subArchitectures ?? [])];
  const syscalls = (profile.syscalls ?? [])
    .filter((rule) => applies(rule, own?.go ?? target.architecture, target))
    .map(translateRule);
  return {
    defaultAction: profile.defaultAction,
    ...(profile.defaultErrnoRet === undefined ? {} : { defaultErrnoRet: profile.defaultErrnoRet }),
    ...(architectures.length > 0 ? { architectures } : {}),
    ...(profile.flags === undefined ? {} : { flags: profile.flags }),
    ...(profile.listenerPath === undefined ? {} : { listenerPath: profile.listenerPath }),
    ...(profile.listenerMetadata === undefined ? {} : { listenerMetadata: profile.listenerMetadata }),
    syscalls,
  };
}

function applies(rule: SeccompProfileRule, architecture: string, target: SeccompTarget): boolean {
  const { includes, excludes } = rule;
  const has = (capability: string): boolean => target.capabilities.includes(capability);
  if (excludes?.arches?.includes(architecture) === true) return false;
  if (excludes?.caps?.some(has) === true) return false;
  if (excludes?.minKernel !== undefined && isKernelAtLeast(target.kernel, excludes.minKernel)) return false;
  if (includes?.arches?.length && !includes.arches.includes(architecture)) return false;
  if (includes?.caps?.every(has) === false) return false;
  return includes?.minKernel === undefined || isKernelAtLeast(target.kernel, includes.minKernel);
}

function translateRule(rule: SeccompProfileRule): RuntimeSyscallRule {
  if (rule.name !== undefined && rule.name !== '' && rule.names?.length) {
    throw invalid("'name' and 'names' were specified in the seccomp profile, use either 'name' or 'names'");
  }
  const names = rule.name !== undefined && rule.name !== '' ? [rule.name] : [...(rule.names ?? [])];
  return {
    names,
    action: rule.action,
    ...(rule.errnoRet === undefined ? {} : { errnoRet: rule.errnoRet }),
    ...(rule.args?.length ? { args: rule.args } : {}),
  };
}

/** `wanted` is `major.minor`. */
export function isKernelAtLeast(kernel: string, wanted: string): boolean {
  const [major = 0, minor = 0] = kernel.split(/[.-]/, 2).map(Number);
  const [wantedMajor = 0, wantedMinor = 0] = wanted.split('.', 2).map(Number);
  return major > wantedMajor || (major === wantedMajor && minor >= wantedMinor);
}
