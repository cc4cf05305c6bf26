import type { DataRange } from './recipe.ts';

/** What differs between the snapshotters: the form in which one layer lies on the disk. */
export interface LayerKind {
  readonly name: 'erofs' | 'overlay';
  /** The layer's name in the directory of layers. */
  fileName(hex: string): string;
  /** The diff id's hexadecimal part, when the name is a layer's. */
  parseFileName(name: string): string | undefined;
  /** Opens a layer for reading the ranges that its recipe names. */
  open(layer: string): Promise<RangeReader>;
  /** Where and how the layer is to be mounted, if it is; `directory` is the place kept for it. */
  mount(layer: string, directory: string): { directory: string; file?: string; type?: 'erofs' };
}

export interface RangeReader extends AsyncDisposable {
  /** A buffer of less than 256 KiB is valid until the next is asked for. */
  read(range: DataRange): AsyncIterable<Buffer>;
}
