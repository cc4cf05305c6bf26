import { messageOf } from '#/base/errors.ts';
import { compileTemplate, type Template } from '#/template/evaluate.ts';
import { type GoStruct, jsonObject, type Value } from '#/template/values.ts';
import { StatusError } from '../command.ts';
import { containerListing } from '../container/container-listing.ts';
import { rowValue } from '../format/format-rows.ts';
import { imageListing, imageRows } from '../image/image-listing.ts';
import type { Terminal } from '../terminal.ts';
import { volumeListing } from '../volume/volume-listing.ts';
import { buildCacheListing, buildCacheRows, type DiskUsage } from './df.ts';

/** Docker's exit code for a template that cannot be parsed. */
const PARSE_FAILED = 64;

/** `system df -v --format`: one document of four lists, whose rows are as the tables of each noun have them. */
export function printVerboseDocument(terminal: Terminal, format: string, usage: DiskUsage): void {
  const source = (format === 'json' ? '{{json .}}' : format.replace(/^table\s+/, ''))
    .replaceAll('\\t', '\t')
    .replaceAll('\\n', '\n');
  let template: Template;
  try {
    template = compileTemplate(source);
  } catch (error) {
    throw new StatusError(`template parsing error: ${messageOf(error)}`, PARSE_FAILED, { cause: error });
  }
  terminal.out(template(diskUsageValue(usage)));
}

function diskUsageValue(usage: DiskUsage): GoStruct {
  // Ids of images are whole here, and nobody asked for digests.
  const images = imageRows(usage.Images ?? [], false).map((row) => ({ ...row, Digest: '' }));
  const lists: [string, Value][] = [
    ['Images', images.map((row) => rowValue(imageListing, row, true))],
    ['Containers', (usage.Containers ?? []).map((row) => rowValue(containerListing, row, true))],
    ['Volumes', (usage.Volumes ?? []).map((row) => rowValue(volumeListing, row, true))],
    ['BuildCache', buildCacheRows(usage).map((row) => rowValue(buildCacheListing, row, true))],
  ];
  return {
    goType: '*formatter.diskUsageContext',
    get: (name) => lists.find(([key]) => key === name)?.[1],
    fields: () => lists,
    toJSON: () => jsonObject(lists),
  };
}
