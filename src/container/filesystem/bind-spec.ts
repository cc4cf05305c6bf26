import { type EngineError, internal, invalid, messageOf } from '#/base/errors.ts';
import type { Mount } from '#/wire/generated.ts';
import { parseMountMode } from './mount-modes.ts';
import { parseMount } from './mount-spec.ts';
import type { MountPoint } from '../record.ts';

// Docker answers 500 to what it cannot read here, and 400 to the structured form.
const invalidSpecification = (text: string): EngineError =>
  internal(`invalid volume specification: '${text}'`);

/** `SOURCE:TARGET[:MODE]`, `NAME:TARGET[:MODE]` or `TARGET`; pure. Throws in Docker's words. */
export function parseBind(bind: string, volumeDriver?: string): MountPoint {
  const parts = bind.split(':');
  const [first = '', second, third = ''] = parts;
  // `/foo:rw` looks like a source and a target, and nobody means it so.
  const onlyMode = parts.length === 2 && parseMountMode(second ?? '') !== undefined;
  if (first === '' || parts.length > 3 || onlyMode) throw invalidSpecification(bind);
  const mode = parseMountMode(third);
  if (mode === undefined) throw internal(`invalid mode: ${third}`);
  const [Source, Target] = second === undefined ? ['', first] : [first, second];
  const isBind = Source.startsWith('/');
  const spec: Mount = {
    Type: isBind ? 'bind' : 'volume',
    Source,
    Target,
    ReadOnly: !mode.readWrite,
    ...(mode.propagation === undefined ? {} : { BindOptions: { Propagation: mode.propagation } }),
    ...(mode.noCopy || (volumeDriver && !isBind)
      ? { VolumeOptions: { NoCopy: mode.noCopy, DriverConfig: { Name: volumeDriver ?? '' } } }
      : {}),
  };
  try {
    const mount = parseMount(spec);
    return { ...mount, mode: third || mount.mode, createSource: isBind };
  } catch (error) {
    throw internal(`${invalidSpecification(bind).message}: ${messageOf(error)}`, { cause: error });
  }
}

/** `CONTAINER[:MODE]` of `--volumes-from`; propagation and copying are the other container's to choose. */
export function parseVolumesFrom(from: string): { reference: string; readOnly: boolean } {
  if (from === '') throw invalid('volumes-from specification cannot be an empty string');
  const colon = from.indexOf(':');
  const [reference, text] = colon === -1 ? [from, ''] : [from.slice(0, colon), from.slice(colon + 1)];
  const mode = parseMountMode(text);
  if (mode === undefined || mode.propagation !== undefined || mode.noCopy) {
    throw invalid(`invalid mode: ${text}`);
  }
  return { reference, readOnly: !mode.readWrite };
}
