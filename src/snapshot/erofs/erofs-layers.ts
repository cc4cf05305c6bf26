import { open } from 'node:fs/promises';
import { internal } from '#/base/errors.ts';
import type { LayerKind } from '../layer-kind.ts';
import { WindowedFile } from './windowed-file.ts';

const SUFFIX = '.erofs';

/** Layers as EROFS images: one file each, mounted read-only. A recipe's offsets are places in the file. */
export const erofsLayers: LayerKind = {
  name: 'erofs',
  fileName: (hex) => hex + SUFFIX,
  parseFileName: (name) => (name.endsWith(SUFFIX) ? name.slice(0, -SUFFIX.length) : undefined),
  mount: (file, directory) => ({ directory, file, type: 'erofs' }),

  async open(file) {
    const image = new WindowedFile(await open(file, 'r'));
    return {
      async *read({ offset, length }) {
        let left = length;
        for await (const piece of image.read(offset, length)) {
          yield piece;
          left -= piece.length;
        }
        if (left > 0) throw internal(`the layer "${file}" is shorter than its recipe`);
      },
      [Symbol.asyncDispose]: () => image[Symbol.asyncDispose](),
    };
  },
};
