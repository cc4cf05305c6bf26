import { shortId } from '#/base/ids.ts';
import { compileTemplate } from '#/template/evaluate.ts';
import { type GoStruct, jsonObject, toJson, type Value } from '#/template/values.ts';
import type { ContainerRecord } from '../record.ts';

/** What a log driver is told of a container: Docker's logger.Info, whose names `tag` templates use. */
export interface LogInfo {
  options: Readonly<Record<string, string>>;
  containerId: string;
  /** Without a slash before it. */
  containerName: string;
  entrypoint: string;
  args: readonly string[];
  imageId: string;
  imageName: string;
  created: string;
  environment: readonly string[];
  labels: Readonly<Record<string, string>>;
}

export function logInfo(record: ContainerRecord, options: Readonly<Record<string, string>>): LogInfo {
  return {
    options,
    containerId: record.id,
    containerName: record.name,
    entrypoint: record.path,
    args: record.args,
    imageId: record.image,
    imageName: record.config.Image ?? record.image,
    created: record.created,
    environment: record.config.Env ?? [],
    labels: record.config.Labels ?? {},
  };
}

/** The `tag` of a container's log. Throws Go's words for a template that is wrong. */
export function logTag(info: LogInfo, hostname: string, absent = '{{.ID}}'): string {
  const template = compileTemplate(info.options['tag'] || absent, { name: 'log-tag' });
  return template(goInfo(info, hostname));
}

function goInfo(info: LogInfo, hostname: string): GoStruct {
  const fields: [string, Value][] = [
    ['Config', info.options],
    ['ContainerID', info.containerId],
    ['ContainerName', `/${info.containerName}`],
    ['ContainerEntrypoint', info.entrypoint],
    ['ContainerArgs', info.args],
    ['ContainerImageID', info.imageId],
    ['ContainerImageName', info.imageName],
    ['ContainerCreated', info.created],
    ['ContainerEnv', info.environment],
    ['ContainerLabels', info.labels],
    ['LogPath', ''],
    // What rules of log servers that were written for Docker look for.
    ['DaemonName', 'docker'],
  ];
  // Methods in Go, and so not among what `{{.}}` prints.
  const methods: [string, Value][] = [
    ['ID', shortId(info.containerId)],
    ['FullID', info.containerId],
    ['Name', info.containerName],
    // Twelve characters of all of it, the algorithm's name included.
    ['ImageID', info.imageId.slice(0, 12)],
    ['ImageFullID', info.imageId],
    ['ImageName', info.imageName],
    ['Command', [info.entrypoint, ...info.args].join(' ')],
    ['Hostname', hostname],
  ];
  const values = new Map([...fields, ...methods]);
  return {
    goType: '*logger.Info',
    fields: () => fields,
    get: (name) => values.get(name),
    toJSON: () => jsonObject(fields.map(([name, value]) => [name, JSON.parse(toJson(value))])),
  };
}
