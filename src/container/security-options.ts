import { invalid } from '#/base/errors.ts';

/** `--security-opt`, taken apart. */
export interface SecurityOptions {
  noNewPrivileges: boolean;
  /** A profile's JSON text, or `unconfined`; the default profile without it. */
  seccomp?: string;
  /** AppArmor profile and SELinux label options, as given: the caller knows whether the host has them. */
  apparmor?: string;
  labels: string[];
  /** Nothing of /proc and /sys hidden. */
  systemPathsUnconfined: boolean;
}

/** Throws `invalid` in Docker's words for what is no security option. */
export function parseSecurityOptions(options: readonly string[]): SecurityOptions {
  const parsed: SecurityOptions = { noNewPrivileges: false, labels: [], systemPathsUnconfined: false };
  for (const option of options) {
    if (option === 'no-new-privileges') {
      parsed.noNewPrivileges = true;
      continue;
    }
    if (option === 'disable') {
      parsed.labels.push(option);
      continue;
    }
    const separator = option.includes('=') ? '=' : ':';
    const at = option.indexOf(separator);
    if (at === -1) throw invalid(`invalid --security-opt 1: "${option}"`);
    const key = option.slice(0, at);
    const value = option.slice(at + 1);
    switch (key) {
      case 'label':
        parsed.labels.push(value);
        break;
      case 'apparmor':
        parsed.apparmor = value;
        break;
      case 'seccomp':
        if (value !== 'builtin') parsed.seccomp = value;
        break;
      case 'no-new-privileges':
        if (value !== 'true' && value !== 'false') throw invalid(`invalid --security-opt 2: "${option}"`);
        parsed.noNewPrivileges = value === 'true';
        break;
      case 'systempaths':
        if (value !== 'unconfined') throw invalid(`invalid --security-opt 2: "${option}"`);
        parsed.systemPathsUnconfined = true;
        break;
      case 'writable-cgroups':
        throw invalid(
          'writable cgroups are not supported: the cgroup hierarchy of a container is read-only unless it is privileged',
        );
      default:
        throw invalid(`invalid --security-opt 2: "${option}"`);
    }
  }
  return parsed;
}
