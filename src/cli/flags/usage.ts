import type { FlagSpec } from './flag-spec.ts';

/** The options' part of a help text, wrapped to `width` columns as Docker's clients wrap it. */
export function flagUsages(specs: readonly FlagSpec[], width: number): string {
  const heads: [string, string][] = [];
  for (const spec of specs.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
    if (spec.hidden) continue;
    const short = spec.shorthand === undefined ? '      ' : `  -${spec.shorthand}, `;
    heads.push([`${short}--${spec.name}${spec.type === 'bool' ? '' : ` ${spec.type}`}`, spec.usage]);
  }
  const column = Math.max(...heads.map(([head]) => head.length), 0) + 3;
  return heads.map(([head, usage]) => `${head.padEnd(column)}${wrap(column, width, usage)}\n`).join('');
}

/** One line off the front of `text`, cut at a space before `limit`, with `slop` columns of grace for the last word. */
function cutLine(limit: number, slop: number, text: string): [string, string] {
  if (limit + slop > text.length) return [text, ''];
  const before = text.slice(0, limit);
  const at = Math.max(before.lastIndexOf(' '), before.lastIndexOf('\t'), before.lastIndexOf('\n'));
  if (at <= 0) return [text, ''];
  const newline = before.lastIndexOf('\n');
  if (newline > 0 && newline < at) return [text.slice(0, newline), text.slice(newline + 1)];
  return [text.slice(0, at), text.slice(at + 1)];
}

function wrap(indent: number, width: number, text: string): string {
  const limit = width - indent;
  if (limit < 24) return text.replaceAll('\n', `\n${' '.repeat(indent)}`);
  const slop = 5;
  let [line, rest] = cutLine(limit - slop, slop, text);
  let out = line.replaceAll('\n', `\n${' '.repeat(indent)}`);
  while (rest !== '') {
    [line, rest] = cutLine(limit - slop, slop, rest);
    out += `\n${' '.repeat(indent)}${line.replaceAll('\n', `\n${' '.repeat(indent)}`)}`;
  }
  return out;
}
