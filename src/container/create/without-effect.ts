import type { ContainerConfig, HostConfig } from '#/wire/generated.ts';
import type { ContainerContext } from '../context.ts';
import { processLimits } from '../start/process-limits.ts';
import { parseSecurityOptions } from './security-options.ts';

/** Options that were accepted and do nothing here, a sentence each: they go back to the client as warnings. */
export function withoutEffect(
  config: ContainerConfig,
  host: HostConfig,
  context: ContainerContext,
): string[] {
  const warnings: string[] = [];
  if (host.NetworkMode === 'host' && Object.keys(host.PortBindings ?? {}).length > 0) {
    warnings.push('Published ports are discarded when using host network mode');
  }
  const says = (present: unknown, sentence: string): void => {
    if (present) warnings.push(sentence);
  };
  const [probe] = config.Healthcheck?.Test ?? [];
  says(
    probe !== undefined && !['', 'NONE', 'CMD', 'CMD-SHELL'].includes(probe),
    `Unknown healthcheck type '${probe}' (expected 'CMD'): the container is not probed.`,
  );
  says(host.Cgroup, 'A container cannot take the cgroup of another: Cgroup has no effect.');
  says(
    config.NetworkDisabled && Object.keys(host.PortBindings ?? {}).length > 0,
    'Published ports are discarded when the network is disabled',
  );
  const security = parseSecurityOptions(host.SecurityOpt ?? []);
  says(
    security.apparmor !== undefined &&
      security.apparmor !== 'unconfined' &&
      context.host.apparmorProfile === undefined,
    'This host has no AppArmor: the profile has no effect.',
  );
  says(
    security.labels.some((label) => label !== 'disable'),
    'SELinux labels are not implemented: the label has no effect.',
  );
  says(
    (host.Init ?? context.defaults.init) && context.defaults.initPath === undefined,
    'This host has no init program (tini): the container’s first process is its own init.',
  );
  warnings.push(...processLimits(host, [], context.host).warnings);
  return warnings;
}
