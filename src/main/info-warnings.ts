import type { CgroupSupport } from '#/host/cgroup-support.ts';
import type { DaemonConfig } from './daemon-config.ts';

export interface WarningFacts {
  support: Pick<
    CgroupSupport,
    'memory' | 'swap' | 'oomKillDisable' | 'cpuQuota' | 'cpuShares' | 'cpuset' | 'pids'
  >;
  cgroupVersion: 1 | 2;
  ipForward: boolean;
  config: Pick<DaemonConfig, 'hosts' | 'tls'>;
}

const ATTACK_SURFACE = `
         Access to the remote API is equivalent to root access on the host. Refer
         to the 'Docker daemon attack surface' section in the documentation for
         more information: https://docs.docker.com/go/attack-surface/`;

/** What is missing or open on this host, in dockerd's words: `docker info` prints them (moby's daemon/info.go). */
export function infoWarnings({ support, cgroupVersion, ipForward, config }: WarningFacts): string[] {
  const missing: [boolean, string][] = [
    [support.memory, 'No memory limit support'],
    [support.swap, 'No swap limit support'],
    [support.oomKillDisable || cgroupVersion === 2, 'No oom kill disable support'],
    [support.cpuQuota, 'No cpu cfs quota support'],
    [support.cpuQuota, 'No cpu cfs period support'],
    [support.cpuShares, 'No cpu shares support'],
    [support.cpuset, 'No cpuset support'],
    [ipForward, 'IPv4 forwarding is disabled'],
  ];
  const found = missing.filter(([there]) => !there).map(([, words]) => `WARNING: ${words}`);
  return [...openApis(config), ...found];
}

function openApis({ hosts, tls }: WarningFacts['config']): string[] {
  const addresses = hosts
    .filter((host) => host.startsWith('tcp://'))
    .map((host) => host.slice('tcp://'.length));
  if (tls?.verify === true) return [];
  const [scheme, lack] = tls === undefined ? ['http', 'encryption'] : ['https', 'TLS client verification'];
  return addresses.map(
    (address) => `WARNING: API is accessible on ${scheme}://${address} without ${lack}.${ATTACK_SURFACE}`,
  );
}
