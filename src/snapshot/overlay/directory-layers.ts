import { closeSync, constants, openSync, readSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { pathOf } from '#/archive/tar-entry.ts';
import { internal } from '#/base/errors.ts';
import type { LayerKind } from '../layer-kind.ts';

/** What a layer's directory holds; see DirectoryLayerWriter. */
export const TREE = 'fs';
export const REPLACED = 'replaced';
export const FILES = 'files';

const PIECE = 256 << 10;

/**
 * Layers as plain directories, for hosts where EROFS cannot be mounted: overlayfs is given the directory itself. A recipe's
 * sources are numbers of files, its offsets places in them.
 */
export const directoryLayers: LayerKind = {
  name: 'overlay',
  fileName: (hex) => hex,
  parseFileName: (name) => (/^[0-9a-f]{64}$/.test(name) ? name : undefined),
  mount: (layer) => ({ directory: path.join(layer, TREE) }),

  async open(layer) {
    const paths = (await readFile(path.join(layer, FILES))).toString('latin1').split('\0');
    return {
      async *read({ source, offset, length }) {
        const file = Buffer.concat([Buffer.from(`${layer}/`), pathOf(paths[source] ?? '')]);
        const fd = openSync(file, constants.O_RDONLY | constants.O_NOFOLLOW);
        try {
          // Most files are small and in memory: going to another thread for each would take ten times longer.
          for (let at = 0; at < length;) {
            const buffer = Buffer.allocUnsafe(Math.min(PIECE, length - at));
            const read = readSync(fd, buffer, 0, buffer.length, offset + at);
            if (read === 0) throw internal(`the layer "${layer}" has lost data of "${file.toString()}"`);
            at += read;
            yield buffer.subarray(0, read);
          }
        } finally {
          closeSync(fd);
        }
      },
      [Symbol.asyncDispose]: async () => {},
    };
  },
};
