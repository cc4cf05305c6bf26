import { invalid } from '#/base/errors.ts';
import { isDigest } from '#/oci/digest.ts';
import type { ImageConfig, ImageRunConfig } from '#/oci/image-config.ts';

/**
 * Reads the bytes of an image configuration. What the engine relies on is checked; the rest is whoever wrote it's. Throws
 * `invalid`.
 */
export function parseImageConfig(bytes: Buffer): ImageConfig {
  let parsed: unknown;
  try {
    parsed = JSON.parse(bytes.toString('utf8'));
  } catch (cause) {
    throw invalid('Cannot read the image configuration: it is not JSON', { cause });
  }
  if (!isObject(parsed)) throw invalid('Cannot read the image configuration: it is no JSON object');
  const { rootfs, config } = parsed;
  if (!isObject(rootfs)) throw invalid('Invalid image JSON, no RootFS key');
  const diffIds = rootfs['diff_ids'] ?? [];
  if (!Array.isArray(diffIds) || !diffIds.every((id) => typeof id === 'string' && isDigest(id))) {
    throw invalid('Cannot read the image configuration: rootfs.diff_ids must be a list of sha256 digests');
  }
  rootfs['diff_ids'] = diffIds;
  for (const key of ['os', 'architecture', 'created', 'author']) {
    if (parsed[key] === null) delete parsed[key];
    if (parsed[key] !== undefined && typeof parsed[key] !== 'string') {
      throw invalid(`Cannot read the image configuration: ${key} must be a string`);
    }
  }
  parsed['os'] ||= 'linux';
  parsed['architecture'] ??= '';
  if (config === null) delete parsed['config'];
  else if (config !== undefined) checkRunConfig(config);
  checkHistory(parsed);
  return parsed as unknown as ImageConfig;
}

const STRINGS: readonly (keyof ImageRunConfig)[] = ['User', 'WorkingDir', 'StopSignal'];
const LISTS: readonly (keyof ImageRunConfig)[] = ['Env', 'Entrypoint', 'Cmd', 'OnBuild', 'Shell'];
const OBJECTS: readonly (keyof ImageRunConfig)[] = ['ExposedPorts', 'Volumes', 'Labels', 'Healthcheck'];

/** Checks the shapes that the container room relies on. An absent key and `null` are the same, as in Go. */
function checkRunConfig(config: unknown): void {
  if (!isObject(config)) throw invalid('Cannot read the image configuration: config must be an object');
  const check = (keys: readonly string[], what: string, holds: (value: unknown) => boolean): void => {
    for (const key of keys) {
      if (config[key] === null) delete config[key];
      if (config[key] !== undefined && !holds(config[key])) {
        throw invalid(`Cannot read the image configuration: config.${key} must be ${what}`);
      }
    }
  };
  check(STRINGS, 'a string', (value) => typeof value === 'string');
  check(LISTS, 'a list of strings', isStringList);
  check(OBJECTS, 'an object', isObject);
  const labels = config['Labels'];
  if (isObject(labels) && !Object.values(labels).every((value) => typeof value === 'string')) {
    throw invalid('Cannot read the image configuration: config.Labels must hold strings');
  }
}

function checkHistory(config: Record<string, unknown>): void {
  const history = config['history'];
  if (history === null) delete config['history'];
  else if (history !== undefined && !(Array.isArray(history) && history.every(isObject))) {
    throw invalid('Cannot read the image configuration: history must be a list of objects');
  }
}

function isStringList(value: unknown): boolean {
  return Array.isArray(value) && value.every((item) => typeof item === 'string');
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
