import { lstatSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import type { TarLimits } from '#/archive/limits.ts';
import { pathOf, type TarEntry } from '#/archive/tar-entry.ts';
import type { TarHandler } from '#/archive/tar-parser.ts';
import { TreeExtractor } from '#/archive/tree-extractor.ts';
import { syncFilesystem } from '#/host/files.ts';
import type { RecipeHeader, RecipeWriter } from '../recipe.ts';
import { FILES, REPLACED, TREE } from './directory-layers.ts';

/**
 * Unpacks a layer into a directory: the tree in `fs`, files that later members replaced in `replaced` (the tar's bytes must
 * come back, too), and in `files` a path for each source number that the recipe uses.
 */
export class DirectoryLayerWriter implements TarHandler {
  readonly #target: string;
  readonly #recipe: RecipeWriter;
  readonly #extractor: TreeExtractor;
  /** Inode numbers of the regular files, in the tar's order. */
  readonly #inodes: number[] = [];
  #size = 0;

  constructor(target: string, recipe: RecipeWriter, limits: TarLimits) {
    this.#target = target;
    this.#recipe = recipe;
    mkdirSync(target, { mode: 0o711 });
    mkdirSync(`${target}/${TREE}`, { mode: 0o755 });
    mkdirSync(`${target}/${REPLACED}`, { mode: 0o700 });
    this.#extractor = new TreeExtractor(`${target}/${TREE}`, {
      limits,
      overlayWhiteouts: true,
      replaced: `${target}/${REPLACED}`,
      onData: (offset, length) => recipe.data(this.#inodes.length, offset, length),
      onFile: (inode) => this.#inodes.push(inode),
    });
  }

  entry(entry: TarEntry): void {
    this.#size += entry.size;
    this.#extractor.entry(entry);
  }

  data(buffer: Buffer, start: number, end: number): void {
    // A whiteout's data is kept nowhere else.
    if (this.#extractor.isWriting) this.#extractor.data(buffer, start, end);
    else this.#recipe.framing(buffer, start, end);
  }

  fileEnd(): void {
    this.#extractor.fileEnd();
  }

  framing(buffer: Buffer, start: number, end: number): void {
    this.#recipe.framing(buffer, start, end);
  }

  /** Completes the directory and makes it durable. */
  finish(): RecipeHeader {
    this.#extractor.finish();
    this.#extractor[Symbol.dispose]();
    const { paths, diskSize } = this.#survey();
    const lines = this.#inodes.map((inode) => `${paths.get(inode) ?? ''}\0`);
    writeFileSync(`${this.#target}/${FILES}`, Buffer.from(lines.join(''), 'latin1'), { mode: 0o600 });
    syncFilesystem(this.#target);
    return { size: this.#size, diskSize, opaqueRoot: this.#extractor.opaqueRoot };
  }

  abandon(): void {
    this.#extractor[Symbol.dispose]();
  }

  /** A path for each inode, relative to the layer, and what they take on the disk. */
  #survey(): { paths: Map<number, string>; diskSize: number } {
    const paths = new Map<number, string>();
    let blocks = 0;
    const left = [TREE, REPLACED];
    for (let directory = left.pop(); directory !== undefined; directory = left.pop()) {
      for (const name of readdirSync(pathOf(`${this.#target}/${directory}`), { encoding: 'latin1' })) {
        const path = `${directory}/${name}`;
        const stats = lstatSync(pathOf(`${this.#target}/${path}`));
        if (stats.isDirectory()) left.push(path);
        if (!paths.has(stats.ino)) blocks += stats.blocks;
        paths.set(stats.ino, path);
      }
    }
    return { paths, diskSize: blocks * 512 };
  }
}
