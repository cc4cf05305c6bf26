import { existsSync } from 'node:fs';
import { hostname } from 'node:os';
import { internal, invalid, messageOf } from '#/base/errors.ts';
import { newId, shortId } from '#/base/ids.ts';
import { parseBool, parseByteSize } from '#/base/go-scalars.ts';
import type { JournalTarget, LogFile, LogTarget } from '#/runtime/runtime.ts';
import type { ContainerPaths } from '../context.ts';
import type { ContainerRecord } from '../record.ts';
import { logAttributes } from './log-attributes.ts';
import type { LogConfig } from './log-drivers.ts';
import { type LogInfo, logInfo, logTag } from './log-info.ts';
import { jsonFileRotation, localRotation, type Rotation } from './rotation.ts';
import { syslogTarget } from './syslog-target.ts';

const DEFAULT_BUFFER = 1_000_000;

type Options = LogConfig['Config'];

/** The driver and options that a container was made with. */
export function logConfigOf({ hostConfig }: ContainerRecord): LogConfig {
  return { Type: hostConfig.LogConfig?.Type || 'json-file', Config: hostConfig.LogConfig?.Config ?? {} };
}

/** The file that `logs` reads; undefined where the log cannot be read. */
export function readableLog(paths: ContainerPaths, record: ContainerRecord): string | undefined {
  const { Type, Config } = logConfigOf(record);
  switch (Type) {
    case 'none':
      return undefined;
    case 'json-file':
    case 'local':
      return paths.log(record.id, Type);
    default:
      return isCached(Config) ? paths.log(record.id, 'cache') : undefined;
  }
}

/** Throws `invalid` in Docker's words if the container's `tag` is no template, or not one of what there is to say of a container. */
export function checkLogTag(record: ContainerRecord): void {
  const { Type, Config } = logConfigOf(record);
  if (Type === 'none') return;
  try {
    logTag(logInfo(record, Config), hostname());
  } catch (error) {
    throw invalid(`failed to initialize logging driver: ${messageOf(error)}`, { cause: error });
  }
}

/** What a start hands to the monitor; undefined for a container without a log. Throws Docker's words for what cannot be reached. */
export async function logTarget(
  record: ContainerRecord,
  { paths, journalSocket }: { paths: ContainerPaths; journalSocket: string },
): Promise<LogTarget | undefined> {
  const config = logConfigOf(record);
  if (config.Type === 'none') return undefined;
  try {
    return {
      ...(await driverTarget(record, config, paths, journalSocket)),
      ...(config.Config['mode'] === 'non-blocking' ? { buffer: bufferSize(config.Config) } : {}),
    };
  } catch (error) {
    throw internal(
      `failed to create task for container: failed to initialize logging driver: ${messageOf(error)}`,
      { cause: error },
    );
  }
}

async function driverTarget(
  record: ContainerRecord,
  { Type, Config }: LogConfig,
  paths: ContainerPaths,
  journalSocket: string,
): Promise<LogTarget> {
  const info = logInfo(record, Config);
  switch (Type) {
    case 'local':
      return { file: logFile(paths.log(record.id, 'local'), localRotation(Config), info) };
    case 'syslog':
      return { ...cache(record, Config, paths), syslog: await syslogTarget(info) };
    case 'journald':
      return { ...cache(record, Config, paths), journal: journalTarget(info, journalSocket) };
    default:
      return { file: logFile(paths.log(record.id, 'json-file'), jsonFileRotation(Config), info) };
  }
}

function cache(record: ContainerRecord, options: Options, paths: ContainerPaths): { file?: LogFile } {
  if (!isCached(options)) return {};
  const own = Object.entries(options).filter(([name]) => name.startsWith('cache-'));
  const info = logInfo(record, Object.fromEntries(own.map(([name, value]) => [name.slice(6), value])));
  return { file: logFile(paths.log(record.id, 'cache'), localRotation(options, 'cache-'), info) };
}

function isCached(options: Options): boolean {
  return !options['cache-disabled'] || !parseBool(options['cache-disabled']);
}

function bufferSize(options: Options): number {
  const size = options['max-buffer-size'];
  return size === undefined ? DEFAULT_BUFFER : parseByteSize(size, 1024);
}

function logFile(file: string, rotation: Rotation, info: LogInfo): LogFile {
  const tag = info.options['tag'] ? logTag(info, hostname()) : '';
  const attributes = { ...logAttributes(info), ...(tag === '' ? {} : { tag }) };
  return {
    path: file,
    ...rotation,
    ...(Object.keys(attributes).length > 0 ? { attributes } : {}),
  };
}

function journalTarget(info: LogInfo, socket: string): JournalTarget {
  if (!existsSync(socket)) throw new Error('journald is not enabled on this host');
  const tag = logTag(info, hostname());
  return {
    socket,
    fields: {
      CONTAINER_ID: shortId(info.containerId),
      CONTAINER_ID_FULL: info.containerId,
      CONTAINER_NAME: info.containerName,
      CONTAINER_TAG: tag,
      IMAGE_NAME: info.imageName,
      SYSLOG_IDENTIFIER: tag,
      // Tells the records of one run from those of others, whose numbers start anew.
      CONTAINER_LOG_EPOCH: newId(),
      ...logAttributes(info, journalFieldName),
    },
  };
}

/** systemd.journal-fields(7): capitals, digits and underscores, of which none at the start. */
export function journalFieldName(name: string): string {
  return name
    .toUpperCase()
    .replaceAll(/[^A-Z0-9]/g, '_')
    .replace(/^_+/, '');
}
