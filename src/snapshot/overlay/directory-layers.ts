import { notImplemented } from '#/base/errors.ts';
import type { LayerKind } from '../layer-kind.ts';

/** Layers as plain directories, for hosts where EROFS cannot be mounted. A layer's directory is what overlayfs is given. */
export const directoryLayers: LayerKind = {
  name: 'overlay',
  fileName: (hex) => hex,
  parseFileName: (name) => (/^[0-9a-f]{64}$/.test(name) ? name : undefined),
  mount: (directory) => ({ directory }),
  async open(layer) {
    throw notImplemented(`reading the layer ${layer} back`);
  },
};
