import { invalid } from '#/base/errors.ts';
import type { TerminalSize } from '#/runtime/runtime.ts';
import type { Query } from './query.ts';

/** `h` and `w` of a resize request, both required (moby's postContainersResize). */
export function terminalSize(query: Query): TerminalSize {
  return { rows: dimension('height', query.text('h')), columns: dimension('width', query.text('w')) };
}

function dimension(what: string, text: string): number {
  if (!/^\d+$/.test(text)) {
    throw invalid(`invalid resize ${what} "${text}": strconv.ParseUint: parsing "${text}": invalid syntax`);
  }
  return Math.min(Number(text), 65_535);
}
