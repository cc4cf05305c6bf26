import type { HostConfig } from '#/wire/generated.ts';
import type { ContainerContext } from './context.ts';
import { processLimits } from './process-limits.ts';
import { parseSecurityOptions } from './security-options.ts';

/** Options that were accepted and do nothing here, a sentence each: they go back to the client as warnings. */
export function withoutEffect(host: HostConfig, context: ContainerContext): string[] {
  const warnings: string[] = [];
  if (host.NetworkMode === 'host' && Object.keys(host.PortBindings ?? {}).length > 0) {
    warnings.push('Published ports are discarded when using host network mode');
  }
  const says = (present: unknown, sentence: string): void => {
    if (present) warnings.push(sentence);
  };
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
