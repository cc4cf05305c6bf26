import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { errnoCode, messageOf } from '#/base/errors.ts';
import { type CdiSpec, checkCdiSpec } from '#/oci/cdi.ts';

export interface CdiRegistry {
  /** In ascending order of precedence. */
  specs: CdiSpec[];
  /** What could not be read, a sentence a file. */
  errors: string[];
}

/** Reads the CDI files of directories, later ones above earlier ones. A directory that is not there has none. */
export async function readCdiRegistry(directories: readonly string[]): Promise<CdiRegistry> {
  const specs: CdiSpec[] = [];
  const errors: string[] = [];
  for (const file of directories.flatMap(specFiles)) {
    try {
      const text = readFileSync(file, 'utf8');
      specs.push(checkCdiSpec(file.endsWith('.json') ? JSON.parse(text) : await parseYaml(text)));
    } catch (error) {
      errors.push(`CDI: Error associated with spec file ${file}: ${messageOf(error)}`);
    }
  }
  return { specs, errors };
}

/** The names of all devices, sorted. */
export function cdiDeviceNames({ specs }: CdiRegistry): string[] {
  const names = specs.flatMap(({ kind, devices }) => devices.map(({ name }) => `${kind}=${name}`));
  return [...new Set(names)].toSorted();
}

function specFiles(directory: string): string[] {
  try {
    return readdirSync(directory)
      .filter((name) => name.endsWith('.json') || name.endsWith('.yaml'))
      .toSorted()
      .map((name) => path.join(directory, name));
  } catch (error) {
    if (errnoCode(error) === 'ENOENT' || errnoCode(error) === 'ENOTDIR') return [];
    throw error;
  }
}

/** Loaded when the first file in YAML is met: most hosts have none. */
async function parseYaml(text: string): Promise<unknown> {
  const { parse } = await import('yaml');
  return parse(text);
}
