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

/** `job` numbers the layers of one worker: what still comes for an earlier one is passed over. */
export type ToWorker =
  | { kind: 'begin'; job: number; layer: LayerJob }
  | { kind: 'data'; job: number; slot: number; length: number }
  | { kind: 'end'; job: number }
  /** Nothing more comes: what was opened is to be closed, and nothing written any more once `abandoned` is answered. */
  | { kind: 'abandon'; job: number };

export type FromWorker =
  | { kind: 'free'; slot: number }
  | { kind: 'abandoned'; job: number }
  | { kind: 'done'; job: number; header: RecipeHeader }
  | { kind: 'failed'; job: number; invalid: boolean; message: string; cause?: string };

/** Bytes of one slot, and how many there are: what of a tar is under way at most. */
export const SLOT_SIZE = 1 << 20;
export const SLOTS = 6;
