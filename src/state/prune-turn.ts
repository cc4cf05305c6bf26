import { conflict } from '#/base/errors.ts';
import type { EventLog, EventType } from './events.ts';

/** Lets one prune of a noun in at a time, refuses others in Docker's words, and tells what each gave back. */
export class PruneTurn {
  readonly #events: EventLog;
  readonly #type: EventType;
  #taken = false;

  constructor(events: EventLog, type: EventType) {
    this.#events = events;
    this.#type = type;
  }

  async run<T extends object>(prune: () => Promise<T> | T): Promise<T> {
    if (this.#taken) throw conflict('a prune operation is already running');
    this.#taken = true;
    try {
      const report: T & { SpaceReclaimed?: number } = await prune();
      const attributes = { reclaimed: String(report.SpaceReclaimed ?? 0) };
      this.#events.publish({ type: this.#type, action: 'prune', id: '', attributes });
      return report;
    } finally {
      this.#taken = false;
    }
  }
}
