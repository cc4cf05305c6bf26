import { diskUsage } from './disk-usage.ts';

/** How long whoever asks waits for a walk. */
const PATIENCE_MS = 250;
/** A measure stands for that many times as long as the walk took: walking is then never more than a twentieth of the time. */
const STANDS_FOR = 20;
/** Directories remembered; of those that were not asked for longest the measure is forgotten. */
const REMEMBERED = 4096;

interface Measure {
  bytes: number;
  /** Of the clock that `performance.now` tells. */
  until: number;
}

/**
 * Sizes of directory trees, told within a quarter of a second however large they are. What can be walked in that time is exact to
 * within some milliseconds. A larger tree is told of by its last measure, at most twenty times as old as its walk takes, and by what
 * has been counted so far when there is none yet; the walk goes on and is there for the next one who asks.
 */
export class MeasuredSizes {
  readonly #measures = new Map<string, Measure>();
  readonly #walks = new Map<string, { counted: number; done: Promise<number> }>();

  /** `measure` walks otherwise than below a directory of that name, and reports as it counts. */
  async of(
    key: string,
    measure: (counted: (bytes: number) => void) => Promise<number> = (counted) => diskUsage(key, counted),
  ): Promise<number> {
    const last = this.#measures.get(key);
    if (last !== undefined && performance.now() < last.until) return last.bytes;
    const walk = this.#walks.get(key) ?? this.#walk(key, measure);
    let timer: NodeJS.Timeout | undefined;
    const impatient = new Promise<undefined>((resolve) => {
      timer = setTimeout(() => resolve(undefined), PATIENCE_MS);
    });
    const found = await Promise.race([walk.done, impatient]);
    clearTimeout(timer);
    return found ?? last?.bytes ?? walk.counted;
  }

  #walk(
    key: string,
    measure: (counted: (bytes: number) => void) => Promise<number>,
  ): { counted: number; done: Promise<number> } {
    const began = performance.now();
    const walk = { counted: 0, done: Promise.resolve(0) };
    walk.done = measure((bytes) => (walk.counted = bytes))
      .then((bytes) => {
        const now = performance.now();
        this.#remember(key, { bytes, until: now + STANDS_FOR * (now - began) });
        return bytes;
      })
      .finally(() => this.#walks.delete(key));
    // It may be nobody's by the time it fails.
    walk.done.catch(() => {});
    this.#walks.set(key, walk);
    return walk;
  }

  #remember(key: string, measure: Measure): void {
    this.#measures.delete(key);
    this.#measures.set(key, measure);
    const [oldest] = this.#measures.keys();
    if (this.#measures.size > REMEMBERED && oldest !== undefined) this.#measures.delete(oldest);
  }
}
