/** Every column is at least this wide, and this much space separates it from the next: the measures of Docker's tables. */
const MIN_WIDTH = 10;
const PADDING = 3;

/**
 * Aligns tab-separated text as Go's text/tabwriter does: a column is a run of neighbouring lines that have a tab-ended cell
 * there, as wide as its widest cell; what follows the last tab of a line belongs to no column.
 */
export function alignColumns(text: string, measures = { minWidth: MIN_WIDTH, padding: PADDING }): string {
  const lines = text.split('\n').map((line) => line.split('\t'));
  const padded: string[] = Array.from(lines, () => '');
  align({ lines, padded, ...measures }, 0, 0, lines.length);
  return padded.join('\n');
}

interface Block {
  lines: readonly string[][];
  padded: string[];
  minWidth: number;
  padding: number;
}

/** `top` has wider columns than the rest. */
export function alignTop(text: string): string {
  return alignColumns(text, { minWidth: 20, padding: PADDING });
}

/** Appends what lines `from` to `to` have from `column` on. */
function align(block: Block, column: number, from: number, to: number): void {
  const { lines, padded } = block;
  let at = from;
  while (at < to) {
    if (!inColumn(lines[at], column)) {
      padded[at] += lines[at]?.[column] ?? '';
      at++;
      continue;
    }
    let end = at;
    let width = block.minWidth;
    while (end < to && inColumn(lines[end], column)) {
      width = Math.max(width, columnsOf(lines[end]?.[column] ?? '') + block.padding);
      end++;
    }
    for (let line = at; line < end; line++) {
      const cell = lines[line]?.[column] ?? '';
      padded[line] += cell + ' '.repeat(width - columnsOf(cell));
    }
    align(block, column + 1, at, end);
    at = end;
  }
}

function inColumn(cells: string[] | undefined, column: number): boolean {
  return cells !== undefined && column < cells.length - 1;
}

/** Code points: tabwriter counts no wide or combining characters either. */
function columnsOf(text: string): number {
  return Array.from(text).length;
}
