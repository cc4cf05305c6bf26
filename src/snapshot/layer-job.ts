import type { TarLimits } from '#/archive/limits.ts';
import type { RecipeHeader } from './recipe.ts';

/** What the worker that writes layers is asked and answers. Tar bytes go in slots of memory that both sides share. */
export interface LayerJob {
  kind: 'erofs' | 'overlay';
  /** The file or directory to make; neither this nor the recipe exists yet. */
  target: string;
  recipe: string;
  limits: TarLimits;
}

export type ToWorker =
  | { kind: 'begin'; job: LayerJob }
  | { kind: 'data'; slot: number; length: number }
  | { kind: 'end' };

export type FromWorker =
  | { kind: 'free'; slot: number }
  | { kind: 'done'; digest: string; header: RecipeHeader }
  | { kind: 'failed'; invalid: boolean; message: string; cause?: string };

/** Bytes of one slot, and how many there are: what of a tar is under way at most. */
export const SLOT_SIZE = 1 << 20;
export const SLOTS = 6;
