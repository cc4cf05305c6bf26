import { internal } from '#/base/errors.ts';
import type { GuestProcess } from '#/runtime/runtime.ts';
import { checkPsArguments, type ProcessTable } from './process-table.ts';

type Column = { title: string; value: (process: GuestProcess, now: Date) => string };

const KIB = 1024;
const DAY_MS = 86_400_000;

/** ps(1)'s columns, as far as a guest tells what is in them. */
const COLUMNS: Record<string, Column> = {
  pid: { title: 'PID', value: ({ pid }) => String(pid) },
  ppid: { title: 'PPID', value: ({ ppid }) => String(ppid) },
  uid: { title: 'UID', value: ({ uid }) => String(uid) },
  user: { title: 'USER', value: ({ uid }) => (uid === 0 ? 'root' : String(uid)) },
  comm: { title: 'COMMAND', value: ({ name }) => name },
  args: { title: 'COMMAND', value: commandOf },
  time: { title: 'TIME', value: ({ used }) => clock(used) },
  etime: { title: 'ELAPSED', value: ({ uptime, started }) => elapsed(uptime - started) },
  stime: { title: 'STIME', value: startTime },
  tty: { title: 'TT', value: ({ terminal }) => terminalName(terminal) },
  stat: { title: 'STAT', value: ({ state }) => state },
  vsz: { title: 'VSZ', value: ({ virtual }) => String(Math.round(virtual / KIB)) },
  rss: { title: 'RSS', value: ({ resident }) => String(Math.round(resident / KIB)) },
  pcpu: { title: '%CPU', value: (process) => share(process).toFixed(1) },
  c: { title: 'C', value: (process) => String(Math.min(99, Math.floor(share(process)))) },
};
const SYNONYMS: Record<string, string> = {
  cmd: 'args',
  command: 'args',
  ucmd: 'comm',
  euid: 'uid',
  euser: 'user',
  uname: 'user',
  tt: 'tty',
  tname: 'tty',
  s: 'stat',
  state: 'stat',
  vsize: 'vsz',
  rssize: 'rss',
  cputime: 'time',
  '%cpu': 'pcpu',
  start_time: 'stime',
};

const FULL: Column[] = [
  { title: 'UID', value: COLUMNS['user']?.value ?? commandOf },
  ...columns('pid,ppid,c,stime'),
  { title: 'TTY', value: ({ terminal }) => terminalName(terminal) },
  ...columns('time'),
  { title: 'CMD', value: commandOf },
];

/**
 * A guest's processes as ps would show them; the host's ps cannot know them. Of its arguments the usual ones: `-ef` and the like, `aux`, and
 * columns of one's own (`-o pid,comm=NAME`). Throws `internal` for others, as Docker does when ps fails.
 */
export function guestProcessTable(
  processes: readonly GuestProcess[],
  psArgs: string,
  now = new Date(),
): ProcessTable {
  checkPsArguments(psArgs);
  const wanted = wantedColumns(psArgs);
  return {
    Titles: wanted.map(({ title }) => title),
    Processes: processes.map((process) => wanted.map(({ value }) => value(process, now))),
  };
}

function wantedColumns(psArgs: string): Column[] {
  const words = psArgs.split(/\s+/).filter(Boolean);
  const found: Column[] = [];
  let style: Column[] = FULL;
  for (let at = 0; at < words.length; at++) {
    const word = words[at] ?? '';
    const [, flags = '', list] = /^-?([A-Za-z]*?)o(?:=)?(.*)$/.exec(word) ?? [];
    if (list !== undefined && /^[aexA]*$/.test(flags)) {
      found.push(...columns(list === '' ? (words[++at] ?? '') : list));
    } else if (/^-?[aexAf]+$/.test(word)) {
      style = FULL;
    } else if (/^-?[aux]+$/.test(word)) {
      style = columns('user,pid,pcpu,vsz,rss,tty,stat,stime,time,args');
    } else {
      const what = word.startsWith('--') ? 'unknown gnu long option' : `unsupported option "${word}"`;
      throw internal(`ps: error: ${what}: a microVM's processes are not shown by it`);
    }
  }
  const chosen = found.length > 0 ? found : style;
  if (!chosen.some(({ title }) => title === 'PID')) throw internal("Couldn't find PID field in ps output");
  return chosen;
}

function columns(list: string): Column[] {
  return list.split(',').map((part) => {
    const [name = '', title] = part.split('=');
    const column = COLUMNS[SYNONYMS[name] ?? name];
    if (column === undefined) throw internal(`ps: error: unknown user-defined format specifier "${name}"`);
    return title ? { ...column, title } : column;
  });
}

function commandOf({ command, name }: GuestProcess): string {
  return command === '' ? `[${name}]` : command;
}

/** Percent of the time since it started that it had a processor. */
function share({ used, uptime, started }: GuestProcess): number {
  return (100 * used) / Math.max(1, uptime - started);
}

function clock(seconds: number): string {
  const whole = Math.floor(seconds);
  const parts = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  return parts.map((part) => String(part).padStart(2, '0')).join(':');
}

function elapsed(seconds: number): string {
  const [hours = '', minutes = '', rest = ''] = clock(seconds % 86_400).split(':');
  const days = Math.floor(seconds / 86_400);
  if (days > 0) return `${days}-${hours}:${minutes}:${rest}`;
  return hours === '00' ? `${minutes}:${rest}` : `${hours}:${minutes}:${rest}`;
}

/** The time of day, or the day of what runs for more than one. */
function startTime({ uptime, started }: GuestProcess, now: Date): string {
  const at = new Date(now.getTime() - (uptime - started) * 1000);
  if (now.getTime() - at.getTime() < DAY_MS) return at.toTimeString().slice(0, 5);
  return at.toDateString().slice(4, 10).replace(' ', '');
}

/** Major and minor numbers as the kernel encodes them in one. A guest's terminals are all of its devpts. */
function terminalName(device: number): string {
  const major = (device >> 8) & 0xfff;
  return major === 136 ? `pts/${device & 0xff}` : '?';
}
