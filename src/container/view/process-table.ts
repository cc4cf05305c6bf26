import { internal, invalid } from '#/base/errors.ts';
import { run } from '#/host/process.ts';

export interface ProcessTable {
  Titles: string[];
  Processes: string[][];
}

const PS_DEADLINE_MS = 5000;

/** What the host's `ps` shows of these processes, with a client's own arguments (moby's daemon/top_unix.go). */
export async function processTable(pids: readonly number[], psArgs: string): Promise<ProcessTable> {
  checkPsArguments(psArgs);
  return parseProcessTable(await ps(psArgs.split(/\s+/).filter(Boolean), pids), pids);
}

/** A further column of the title PID would be taken for the one that tells whose row it is. */
export function checkPsArguments(psArgs: string): void {
  if (psArgs.includes('\0')) throw invalid('invalid ps arguments: they hold a NUL');
  for (const [, column, title] of psArgs.matchAll(/\s+(\S*)=\s*(PID\S*)/g)) {
    if (column !== 'pid') throw internal(`specifying "${column}=${title}" is not allowed`);
  }
}

async function ps(args: readonly string[], pids: readonly number[]): Promise<string> {
  // Without a choice of processes ps shows its own terminal's.
  const chosen = await run('ps', [...args, `-q${pids.join(',')}`], { timeoutMs: PS_DEADLINE_MS });
  if (chosen.code === 0) return chosen.stdout.toString();
  // Some of its options go with no -q, and busybox's ps has none.
  const all = await run('ps', args, { timeoutMs: PS_DEADLINE_MS });
  if (all.code === 0) return all.stdout.toString();
  const [reason] = all.stderr.toString().split('\n');
  throw internal(`ps: ${reason || `exit status ${all.code}`}`);
}

/** The rows of these processes, and those of their threads, which have a dash for a PID and follow it. */
export function parseProcessTable(output: string, pids: readonly number[]): ProcessTable {
  const [header = '', ...rows] = output.trimEnd().split('\n');
  const titles = header.trim().split(/[ \t]+/);
  const pidColumn = titles.indexOf('PID');
  if (pidColumn === -1) throw internal("Couldn't find PID field in ps output");
  const wanted = new Set(pids.map(String));
  let mine = false;
  const processes = rows
    .map((row) => splitRow(row, titles.length))
    .filter((fields) => {
      const pid = fields[pidColumn] ?? '';
      if (pid !== '-') mine = wanted.has(pid);
      return mine;
    });
  return { Titles: titles, Processes: processes };
}

/** The last column may hold blanks. */
function splitRow(row: string, columns: number): string[] {
  const fields = row.trim().split(/[ \t]+/);
  return [...fields.slice(0, columns - 1), fields.slice(columns - 1).join(' ')];
}
