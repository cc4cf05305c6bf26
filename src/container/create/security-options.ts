import { invalid } from '#/base/errors.ts';
import { parseBool } from '#/base/go-scalars.ts';

/** `--security-opt`, taken apart. What is undefined was not said. */
export interface SecurityOptions {
  noNewPrivileges?: boolean;
  /** A profile's JSON text, `unconfined` or `builtin`. */
  seccomp?: string;
  /** AppArmor profile and SELinux label options, as given: the caller knows whether the host has them. */
  apparmor?: string;
  labels: string[];
  /** /sys/fs/cgroup can be written to. */
  writableCgroups?: boolean;
  /** What `UsernsMode` says, for clients that pass on only what Docker knows of that. */
  userns?: string;
  /** Nothing of /proc and /sys hidden. */
  systemPathsUnconfined: boolean;
}

/** Throws `invalid` in Docker's words for what is no security option. */
export function parseSecurityOptions(options: readonly string[]): SecurityOptions {
  const parsed: SecurityOptions = { labels: [], systemPathsUnconfined: false };
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
        parsed.seccomp = value;
        break;
      case 'no-new-privileges':
        parsed.noNewPrivileges = truth(value, option);
        break;
      case 'writable-cgroups':
        parsed.writableCgroups = truth(value, option);
        break;
      case 'systempaths':
        if (value !== 'unconfined') throw invalid(`invalid --security-opt 2: "${option}"`);
        parsed.systemPathsUnconfined = true;
        break;
      case 'userns':
        parsed.userns = value;
        break;
      default:
        throw invalid(`invalid --security-opt 2: "${option}"`);
    }
  }
  return parsed;
}

function truth(value: string, option: string): boolean {
  try {
    return parseBool(value);
  } catch (cause) {
    throw invalid(`invalid --security-opt 2: "${option}"`, { cause });
  }
}
