import { internal } from '#/base/errors.ts';

/** Kernel settings of the IPC namespace; the rest of them is below `fs.mqueue.` (namespaces(7), ipc_namespaces(7)). */
const IPC = new Set(
  ['msgmax', 'msgmnb', 'msgmni', 'sem', 'shmall', 'shmmax', 'shmmni', 'shm_rmid_forced'].map(
    (name) => `kernel.${name}`,
  ),
);

/** What a container has for itself, or shares with another container; not the host's. */
export interface OwnNamespaces {
  /** All of it. */
  kernel?: boolean;
  network: boolean;
  ipc: boolean;
  uts: boolean;
}

/**
 * Refuses a setting that would be the host's, in the words of the runtime that Docker leaves this to (runc's
 * libcontainer/configs/validate), whichever runtime is to run the container.
 */
export function checkSysctls(sysctls: Readonly<Record<string, string>>, own: OwnNamespaces): void {
  for (const given of Object.keys(sysctls)) {
    const reason = refusal(dotted(given), own);
    if (reason !== undefined) {
      throw internal(
        `failed to create task for container: failed to create shim task: OCI runtime create failed: sysctl "${given}" ${reason}: unknown`,
      );
    }
  }
}

function refusal(name: string, own: OwnNamespaces): string | undefined {
  if (name === 'kernel.hostname') return 'is not allowed as it conflicts with the OCI "hostname" field';
  if (own.kernel === true) return undefined;
  if (IPC.has(name) || name.startsWith('fs.mqueue.')) {
    return own.ipc ? undefined : 'is not allowed in the hosts ipc namespace';
  }
  if (name.startsWith('net.')) return own.network ? undefined : 'not allowed in host network namespace';
  if (name === 'kernel.domainname' && own.uts) return undefined;
  return 'is not in a separate kernel namespace';
}

/** sysctl(8): where the first separator is a slash, dots are part of a name (`net/ipv4/conf/eth0.100/forwarding`). */
function dotted(name: string): string {
  const first = /[./]/.exec(name)?.[0];
  return first === '/' ? name.replaceAll('/', '.') : name;
}
