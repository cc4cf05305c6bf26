import { alignColumns } from '../format/table.ts';
import { decimalSize } from '../format/units.ts';
import { type Comparison, figureText, MEASURES, ratioText, WALLS } from './figures.ts';

/** The comparison for a terminal: a line for each figure, the accelerator beside each of the VM's, then what stands between inside and the host. */
export function comparisonTable(comparison: Comparison): string {
  const { image, host, accelerator, figures, isolation, runs } = comparison;
  const lines = [['', 'CONTAINER', 'MICROVM', 'MICROVM / CONTAINER']];
  for (const { name, title, unit } of MEASURES) {
    const { container, vm } = figures[name];
    const beside = 'skipped' in vm ? '' : ` (${accelerator.name})`;
    lines.push([
      title,
      figureText(container, unit),
      `${figureText(vm, unit)}${beside}`,
      ratioText(figures[name]),
    ]);
  }
  lines.push([
    'kernel',
    `${isolation.container.kernel}, ${sharing(isolation.container.sharesKernel)}`,
    `${isolation.vm.kernel}, ${sharing(isolation.vm.sharesKernel)}`,
    '',
  ]);
  const rows = lines.map((cells) => cells.join('\t').trimEnd()).join('\n');
  const notes = [
    `Image ${image.name}: ${decimalSize(image.bytes, 3)}, once on disk for both. Host: ${host.cpus} CPUs, ${decimalSize(host.memoryAvailable, 3)} of ${decimalSize(host.memoryTotal, 3)} memory available. Medians of ${runs}.`,
    `Accelerator of microVMs: ${acceleratorText(comparison)}.`,
    ...WALLS.map(
      (wall) => `${wall === 'vm' ? 'A microVM' : 'A container'} and the host, ${isolation[wall].surface}.`,
    ),
    ...skippedNotes(comparison),
  ];
  return `${alignColumns(rows)}\n\n${notes.join('\n')}\n`;
}

export function acceleratorText({ accelerator: { name, reason } }: Comparison): string {
  return `${name}${reason === undefined ? '' : ` (${reason})`}`;
}

function sharing(sharesKernel: boolean): string {
  return sharesKernel ? "the host's" : 'its own';
}

function skippedNotes({ figures }: Comparison): string[] {
  return MEASURES.flatMap(({ name, title }) => {
    const reasons = WALLS.flatMap((wall) => {
      const figure = figures[name][wall];
      return 'skipped' in figure ? [figure.skipped] : [];
    });
    return reasons.length === 0 ? [] : [`No ${title}: ${[...new Set(reasons)].join('; ')}.`];
  });
}
