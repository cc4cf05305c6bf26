import { invalid } from '#/base/errors.ts';
import type { ImageRunConfig } from '#/oci/image-config.ts';
import type { ContainerConfig } from '#/wire/generated.ts';

/** The container's configuration with what it inherits from its image, by Docker's rules. `invalid` without a command. */
export function mergeImageConfig(config: ContainerConfig, image: ImageRunConfig): ContainerConfig {
  const merged: ContainerConfig = { ...config };
  merged.User = config.User || image.User || '';
  merged.Env = mergeEnv(config.Env ?? [], image.Env ?? []);
  merged.Labels = { ...image.Labels, ...config.Labels };
  merged.ExposedPorts = { ...image.ExposedPorts, ...config.ExposedPorts };
  merged.Volumes = { ...image.Volumes, ...config.Volumes };
  merged.WorkingDir = config.WorkingDir || image.WorkingDir || '';
  const stopSignal = config.StopSignal || image.StopSignal;
  if (stopSignal !== undefined) merged.StopSignal = stopSignal;
  // A new entrypoint drops the image's command; `[""]` is how clients say "no entrypoint".
  if ((config.Entrypoint?.length ?? 0) === 0) {
    if ((config.Cmd?.length ?? 0) === 0) merged.Cmd = image.Cmd ?? [];
    if (config.Entrypoint === undefined || config.Entrypoint === null)
      merged.Entrypoint = image.Entrypoint ?? [];
  } else if (config.Entrypoint?.length === 1 && config.Entrypoint[0] === '') {
    merged.Entrypoint = [];
  }
  if (config.Healthcheck === undefined || config.Healthcheck === null) {
    if (image.Healthcheck !== undefined) merged.Healthcheck = image.Healthcheck;
  } else if (image.Healthcheck !== undefined) {
    merged.Healthcheck = {
      ...config.Healthcheck,
      Test: config.Healthcheck.Test?.length ? config.Healthcheck.Test : image.Healthcheck.Test,
      Interval: config.Healthcheck.Interval || image.Healthcheck.Interval,
      Timeout: config.Healthcheck.Timeout || image.Healthcheck.Timeout,
      StartPeriod: config.Healthcheck.StartPeriod || image.Healthcheck.StartPeriod,
      StartInterval: config.Healthcheck.StartInterval || image.Healthcheck.StartInterval,
      Retries: config.Healthcheck.Retries || image.Healthcheck.Retries,
    };
  }
  if ((merged.Entrypoint?.length ?? 0) === 0 && (merged.Cmd?.length ?? 0) === 0)
    throw invalid('no command specified');
  return merged;
}

/** The image's variables that the container does not set itself come after the container's own, as Docker has them. */
function mergeEnv(own: readonly string[], inherited: readonly string[]): string[] {
  const set = new Set(own.map(variableName));
  return [...own, ...inherited.filter((variable) => !set.has(variableName(variable)))];
}

function variableName(variable: string): string {
  const at = variable.indexOf('=');
  return at === -1 ? variable : variable.slice(0, at);
}

/** Docker's search path for a process whose image names none. */
export const DEFAULT_PATH = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** The environment of the container's process: Docker's own variables first, those of links, and the configured ones over them; `NAME` without a value unsets. */
export function processEnv(
  config: ContainerConfig,
  hostname: string,
  home: string,
  linked: readonly string[] = [],
): string[] {
  const values = new Map<string, string>();
  values.set('PATH', DEFAULT_PATH);
  values.set('HOSTNAME', `HOSTNAME=${hostname}`);
  if (config.Tty) values.set('TERM', 'TERM=xterm');
  for (const variable of linked) values.set(variableName(variable), variable);
  for (const variable of config.Env ?? []) {
    const name = variableName(variable);
    if (variable.includes('=')) values.set(name, variable);
    else values.delete(name);
  }
  if (home !== '' && !values.has('HOME')) values.set('HOME', `HOME=${home}`);
  return [...values.values()];
}
