import { type Comparison, type Figure, figureText, MEASURES, ratioText } from './figures.ts';

const WIDTH = 860;
const MARGIN = 24;
/** Where bars begin, and how long the longest is. */
const BARS = 236;
const LONGEST = 430;
const BAR = 13;
const ROW = 50;
const TOP = 92;
/** Grey and colours that stand out from white as from near black (a contrast of 4 and more with either). */
const TEXT = '#737d87';
const CONTAINER = '#2f81f7';
const VM = '#d9730d';
const FONT = 'system-ui,-apple-system,Segoe UI,Helvetica,Arial,sans-serif';

/** The comparison as an SVG without scripts, on no background of its own: a pair of bars for each figure, as long as the larger one allows. */
export function comparisonPicture(comparison: Comparison): string {
  const { image, host, accelerator, isolation, figures } = comparison;
  const shown = MEASURES.filter(({ name }) =>
    pair(figures[name]).some((value) => value !== undefined && value > 0),
  );
  const height = TOP + shown.length * ROW + 48;
  const vmName = `microVM (${accelerator.name})`;
  const parts = [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img" font-family="${FONT}" font-size="13" fill="${TEXT}">`,
    `<title>${escaped(`${image.name} as a container and as a ${vmName}`)}</title>`,
    text(MARGIN, 34, 'One image, one API, two walls', 'font-size="20" font-weight="600"'),
    text(MARGIN, 56, `hull compare ${image.name} · ${host.cpus} CPUs · medians`),
    swatch(BARS, CONTAINER, 'container'),
    swatch(BARS + 130, VM, vmName),
  ];
  for (const [index, measure] of shown.entries()) {
    const y = TOP + index * ROW;
    const { container, vm } = figures[measure.name];
    const longest = Math.max(...pair(figures[measure.name]).map((value) => value ?? 0));
    const ratio = ratioText(figures[measure.name]);
    parts.push(
      text(MARGIN, y + 12, measure.title, 'font-weight="600"'),
      text(
        MARGIN,
        y + 29,
        `${measure.better} is better${ratio === '' ? '' : ` · ${ratio}`}`,
        'font-size="12"',
      ),
      bar(y, container, { longest, colour: CONTAINER, label: figureText(container, measure.unit) }),
      bar(y + BAR + 4, vm, {
        longest,
        colour: VM,
        label: `${figureText(vm, measure.unit)} (${accelerator.name})`,
      }),
    );
  }
  const foot = TOP + shown.length * ROW + 14;
  const notes = [
    `container: the host's kernel, ${isolation.container.kernel}`,
    isolation.container.surface,
    `${vmName}: its own kernel, ${isolation.vm.kernel}`,
    isolation.vm.surface,
  ];
  for (const [index, note] of notes.entries()) {
    const column = MARGIN + (index < 2 ? 0 : WIDTH / 2);
    const weight = index % 2 === 0 ? ' font-weight="600"' : '';
    parts.push(text(column, foot + (index % 2) * 18, note, `font-size="12"${weight}`));
  }
  return `${[...parts, '</svg>'].join('\n')}\n`;
}

function pair({ container, vm }: Record<'container' | 'vm', Figure>): (number | undefined)[] {
  return [container, vm].map((figure) => ('skipped' in figure ? undefined : figure.median));
}

function bar(
  y: number,
  figure: Figure,
  { longest, colour, label }: { longest: number; colour: string; label: string },
): string {
  if ('skipped' in figure) return text(BARS, y + 11, `not measured: ${figure.skipped}`, 'font-size="12"');
  const length = Math.max(2, Math.round((figure.median / longest) * LONGEST));
  return `<rect x="${BARS}" y="${y}" width="${length}" height="${BAR}" rx="2" fill="${colour}"/>${text(BARS + length + 8, y + 11, label)}`;
}

function swatch(x: number, colour: string, label: string): string {
  return `<rect x="${x}" y="67" width="11" height="11" rx="2" fill="${colour}"/>${text(x + 17, 77, label)}`;
}

function text(x: number, y: number, content: string, attributes = ''): string {
  return `<text x="${x}" y="${y}"${attributes === '' ? '' : ` ${attributes}`}>${escaped(content)}</text>`;
}

function escaped(content: string): string {
  return content
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}
