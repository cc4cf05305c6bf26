import { invalid, messageOf } from '#/base/errors.ts';
import { parseBool, parseByteSize } from '#/base/go-scalars.ts';
import { logAttributes } from './log-attributes.ts';
import { jsonFileRotation, localRotation } from './rotation.ts';
import { parseSyslogOptions } from './syslog-options.ts';

/** A driver with its options: HostConfig.LogConfig as records keep it. */
export interface LogConfig {
  Type: string;
  Config: Record<string, string>;
}

interface LogDriver {
  options: readonly string[];
  /** Docker's words for an option that it does not have. */
  unknown: (option: string) => string;
  /** Looks at the values that Docker refuses at create. */
  checkAtCreate?: (options: LogConfig['Config']) => void;
  /** Looks at those that Docker refuses at the start, in which words is then part of the message. */
  checkAtStart: (options: LogConfig['Config']) => void;
}

const ATTRIBUTES = ['labels', 'labels-regex', 'env', 'env-regex', 'tag'];
const ROTATION = ['max-size', 'max-file', 'compress'];
/** Every driver takes these; only those that cannot be read have a cache. */
const COMMON = [
  'mode',
  'max-buffer-size',
  'cache-disabled',
  ...[...ROTATION, ...ATTRIBUTES].map((name) => `cache-${name}`),
];

const DRIVERS: Record<string, LogDriver> = {
  journald: {
    options: ATTRIBUTES,
    unknown: (option) => `unknown log opt '${option}' for journald log driver`,
    checkAtStart: checkCache,
  },
  'json-file': {
    options: [...ROTATION, ...ATTRIBUTES],
    unknown: (option) => `unknown log opt '${option}' for json-file log driver`,
    checkAtStart: jsonFileRotation,
  },
  local: {
    options: [...ROTATION, ...ATTRIBUTES],
    unknown: (option) => `unknown log opt '${option}' for log driver local`,
    checkAtStart: localRotation,
  },
  syslog: {
    options: [
      ...ATTRIBUTES,
      'syslog-address',
      'syslog-facility',
      'syslog-format',
      'syslog-tls-ca-cert',
      'syslog-tls-cert',
      'syslog-tls-key',
      'syslog-tls-skip-verify',
    ],
    unknown: (option) => `unknown log opt '${option}' for syslog log driver`,
    checkAtCreate: parseSyslogOptions,
    checkAtStart: checkCache,
  },
};

/** What `info` lists. `none` is no driver, though it may be named as one. */
export const LOG_DRIVERS: readonly string[] = Object.keys(DRIVERS);

/** Whether a container's log can be read back without a cache. */
export const READABLE_DRIVERS: readonly string[] = ['json-file', 'local'];

/**
 * What a container asks for, with what the daemon's defaults say where it says nothing. Throws `invalid` in Docker's words; for what
 * Docker only finds at the start, in those words: they are what `docker run` shows.
 */
export function checkLogConfig(
  wanted: { Type?: string; Config?: Record<string, string> | null } | undefined,
  defaults: LogConfig,
): LogConfig {
  const Type = wanted?.Type || defaults.Type;
  const shared = Object.entries(defaults.Config).filter(
    ([name]) => Type === defaults.Type || name.startsWith('cache-'),
  );
  const config = { Type, Config: { ...Object.fromEntries(shared), ...wanted?.Config } };
  checkLogOptions(config);
  return config;
}

export function checkLogOptions({ Type, Config }: LogConfig): void {
  if (Type === 'none') return;
  checkMode(Config);
  const driver = DRIVERS[Type];
  if (driver === undefined) throw invalid(`logger: no log driver named '${Type}' is registered`);
  for (const name of Object.keys(Config)) {
    if (!COMMON.includes(name) && !driver.options.includes(name)) throw invalid(driver.unknown(name));
  }
  inWords('', () => driver.checkAtCreate?.(Config));
  inWords('failed to initialize logging driver: ', () => {
    driver.checkAtStart(Config);
    // Whether the expressions are any; what they choose is seen at the start.
    logAttributes({ options: Config, labels: {}, environment: [] });
  });
}

function checkMode(options: LogConfig['Config']): void {
  const mode = options['mode'] ?? '';
  if (!['', 'blocking', 'non-blocking'].includes(mode)) {
    throw invalid(`logger: logging mode not supported: ${mode}`);
  }
  const size = options['max-buffer-size'];
  if (size !== undefined) {
    if (mode !== 'non-blocking') {
      throw invalid("logger: max-buffer-size option is only supported with 'mode=non-blocking'");
    }
    inWords('error parsing option max-buffer-size: ', () => parseByteSize(size, 1024));
  }
  const disabled = options['cache-disabled'];
  if (disabled) {
    try {
      parseBool(disabled);
    } catch (error) {
      throw invalid(`invalid value for option cache-disabled: ${disabled}`, { cause: error });
    }
  }
}

function checkCache(options: LogConfig['Config']): void {
  localRotation(options, 'cache-');
}

function inWords(prefix: string, check: () => void): void {
  try {
    check();
  } catch (error) {
    throw invalid(`${prefix}${messageOf(error)}`, { cause: error });
  }
}
