import { jsonLines } from '#/api/client/json-lines.ts';
import { decimalSize } from './units.ts';

/** One message of a pull, push, load or import, as the API streams them. */
export interface ProgressMessage {
  id?: string;
  status?: string;
  stream?: string;
  progressDetail?: { current?: number; total?: number; units?: string; hidecounts?: boolean };
  error?: string;
  errorDetail?: { message?: string; code?: number };
  aux?: unknown;
}

/** Columns that a progress bar may fill. */
const BAR = 50;

/**
 * Shows such a stream: on a terminal each `id` keeps a line of its own that is redrawn, elsewhere every message is a line
 * and progress is left out. The stream's error is thrown.
 */
export async function showProgress(
  body: AsyncIterable<Buffer>,
  write: (text: string) => void,
  terminal: boolean,
  onAux?: (aux: unknown) => void,
): Promise<void> {
  const lines = new Map<string, number>();
  for await (const message of jsonLines<ProgressMessage>(body)) {
    if (message.aux !== undefined && message.aux !== null) {
      onAux?.(message.aux);
      continue;
    }
    const failure = message.errorDetail?.message ?? message.error;
    if (failure !== undefined) throw new Error(failure);
    const progress = progressText(message);
    if (!terminal) {
      if (progress === '') write(plainLine(message));
      continue;
    }
    write(redraw(message, progress, lines));
  }
}

function plainLine(message: ProgressMessage): string {
  if (message.stream !== undefined) return message.stream;
  return `${message.id ? `${message.id}: ` : ''}${message.status ?? ''}\n`;
}

/** The text that puts a message in its place, moving the cursor up to the line of its id and back. */
function redraw(message: ProgressMessage, progress: string, lines: Map<string, number>): string {
  if (message.stream !== undefined) return message.stream;
  const text = `${message.id ? `${message.id}: ` : ''}${message.status ?? ''} ${progress}`.trimEnd();
  if (!message.id || (!message.progressDetail && !lines.has(message.id))) {
    if (message.id === undefined || message.id === '') lines.clear();
    return `${text}\n`;
  }
  let line = lines.get(message.id);
  let start = '';
  if (line === undefined) {
    line = lines.size;
    lines.set(message.id, line);
    start = '\n';
  }
  const up = lines.size - line;
  return `${start}\u001B[${up}A\u001B[2K\r${text}\u001B[${up}B\r`;
}

function progressText({ progressDetail }: ProgressMessage): string {
  const current = progressDetail?.current ?? 0;
  const total = progressDetail?.total ?? 0;
  if (!progressDetail || (current <= 0 && total <= 0)) return '';
  if (total <= 0)
    return progressDetail.units ? `${current} ${progressDetail.units}` : decimalSize(current).padStart(8);
  const share = Math.min(50, Math.floor((current / total) * BAR));
  const bar = `[${'='.repeat(share)}>${' '.repeat(Math.max(0, BAR - share))}]`;
  const numbers = `${decimalSize(current).padStart(8)}/${decimalSize(total)}`;
  return progressDetail.hidecounts ? bar : `${bar} ${numbers}`;
}
