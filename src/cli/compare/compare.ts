import { writeFileSync } from 'node:fs';
import { messageOf } from '#/base/errors.ts';
import { type Command, type CommandContext, StatusError } from '../command.ts';
import { checkOutputFile } from '../output-file.ts';
import type { Comparison } from './figures.ts';
import { measureBoth } from './measure.ts';

const RUNS = 5;
const SIGNALS: readonly NodeJS.Signals[] = ['SIGINT', 'SIGTERM', 'SIGHUP'];
const INTERRUPTED = 130;

export const command: Command = {
  usage: '[OPTIONS] IMAGE',
  long: `Run an image as a container and as a microVM, and measure both

What is measured: the time to first output and of an exec, the memory and disk of an idle one and how many would fit,
system calls, disk and network. The image needs a shell; what other programs it lacks is left out, with the reason.`,
  flags: `
      --format string  Format output: "table" or "json" (default "table")
      --runs int  Measured runs of each figure (default ${RUNS})
      --svg string  Write a picture of it to a file
`,
  arguments: { min: 1, max: 1 },
  run,
};

async function run(context: CommandContext): Promise<number> {
  const { flags, terminal } = context;
  const format = flags.string('format') || 'table';
  if (format !== 'table' && format !== 'json') {
    throw new StatusError(`invalid format ${JSON.stringify(format)}: "table" and "json" are there`, 125);
  }
  const runs = flags.number('runs', RUNS);
  if (runs < 1) throw new StatusError(`invalid number of runs ${runs}: there must be one at least`, 125);
  const picture = flags.string('svg');
  if (picture !== '') checkOutputFile(picture);
  const comparison = await interruptible((signal) => measure(context, runs, signal));
  if (comparison === undefined) return INTERRUPTED;
  if (picture !== '') {
    const { comparisonPicture } = await import('./picture.ts');
    writePicture(picture, comparisonPicture(comparison));
  }
  if (format === 'json') terminal.out(`${JSON.stringify(comparison, undefined, 2)}\n`);
  else {
    const { comparisonTable } = await import('./table.ts');
    terminal.out(comparisonTable(comparison));
  }
  return 0;
}

async function measure(
  { client, args: [image = ''], terminal }: CommandContext,
  runs: number,
  signal: AbortSignal,
): Promise<Comparison> {
  const progress = (doing: string): void => {
    if (terminal.isTerminal(2)) terminal.err(`\r\u001B[KMeasuring: ${doing} …`);
  };
  try {
    return await measureBoth(client, { image, runs, signal, progress });
  } finally {
    if (terminal.isTerminal(2)) terminal.err('\r\u001B[K');
  }
}

/** Undefined when a signal came first; what was made is removed by then. A second one ends the process at once. */
async function interruptible<T>(run: (signal: AbortSignal) => Promise<T>): Promise<T | undefined> {
  const controller = new AbortController();
  const stop = (): void => {
    for (const name of SIGNALS) process.off(name, stop);
    controller.abort();
  };
  for (const name of SIGNALS) process.on(name, stop);
  try {
    return await run(controller.signal);
  } catch (error) {
    if (controller.signal.aborted) return undefined;
    throw error;
  } finally {
    for (const name of SIGNALS) process.off(name, stop);
  }
}

function writePicture(file: string, svg: string): void {
  try {
    writeFileSync(file, svg);
  } catch (error) {
    throw new Error(`Cannot write "${file}": ${messageOf(error)}`, { cause: error });
  }
}
