import { readdirSync } from 'node:fs';
import path from 'node:path';
import { errnoCode, unavailable } from '#/base/errors.ts';
import { erofsLayers } from './erofs/erofs-layers.ts';
import type { LayerKind } from './layer-kind.ts';
import { directoryLayers } from './overlay/directory-layers.ts';

type Kind = LayerKind['name'];

export interface KindChoice {
  kind: Kind;
  /** Why it is not EROFS, when nobody asked for anything else. */
  reason?: string;
}

/**
 * Which form layers take under `root`: the one that was asked for, else the one they have there already, else EROFS where
 * this host mounts it. `whyNoErofs` says why it does not, undefined when it does.
 */
export function chooseKind(
  root: string,
  wanted: Kind | undefined,
  whyNoErofs: () => string | undefined,
): KindChoice {
  const settled = wanted ?? kindAt(path.join(root, 'layers'));
  if (settled === 'overlay') return { kind: 'overlay' };
  const reason = whyNoErofs();
  if (reason === undefined) return { kind: 'erofs' };
  if (settled === undefined) return { kind: 'overlay', reason };
  throw unavailable(`Cannot mount the layers under "${root}", which are EROFS images: ${reason}`);
}

function kindAt(layers: string): Kind | undefined {
  let names: string[];
  try {
    names = readdirSync(layers);
  } catch (error) {
    if (errnoCode(error) === 'ENOENT') return undefined;
    throw error;
  }
  return [erofsLayers, directoryLayers].find((kind) =>
    names.some((name) => kind.parseFileName(name) !== undefined),
  )?.name;
}
