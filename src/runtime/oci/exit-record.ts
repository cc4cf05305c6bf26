import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';

import { errnoCode } from '#/base/errors.ts';

import { dateOfNanoseconds } from './monitor-connection.ts';

/** What a monitor recorded of its process's end. */
export interface ExitRecord {
  code: number;
  at: Date;
  /** What the OCI runtime logged when it could not start the process. */
  error?: string;
}

const FILE = 'exit';

/** Undefined when there is none, or what a power cut has left of one where the directory is on a disk: no process outlived that. */
export function readExitRecord(directory: string): ExitRecord | undefined {
  let text: string;
  try {
    text = readFileSync(path.join(directory, FILE), 'utf8');
  } catch (error) {
    if (errnoCode(error) === 'ENOENT') return undefined;
    throw error;
  }
  const record = parse(text);
  if (record === undefined) return undefined;
  return {
    code: record.code,
    at: dateOfNanoseconds(BigInt(record.at)),
    ...(record.error === undefined ? {} : { error: record.error }),
  };
}

function parse(text: string): { code: number; at: string; error?: string } | undefined {
  try {
    return JSON.parse(text) as { code: number; at: string; error?: string };
  } catch {
    return undefined;
  }
}

/** Writes the record of a process whose monitor was killed, so that it is known from now on. */
export function writeExitRecord(directory: string, record: ExitRecord): void {
  const temporary = path.join(directory, `${FILE}.tmp`);
  const at = `${BigInt(record.at.getTime()) * 1_000_000n}`;
  writeFileSync(temporary, `${JSON.stringify({ ...record, signal: 0, at, pid: 0 })}\n`);
  renameSync(temporary, path.join(directory, FILE));
}
