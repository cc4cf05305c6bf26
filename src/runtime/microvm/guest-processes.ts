import type { GuestProcess } from '../runtime.ts';

/** The kernel's units for user space, on every architecture that guests have. */
const TICKS_PER_SECOND = 100;
const PAGE = 4096;
const NUMBERS = 10;

/** PROCESSES' lines (protocol.md); what is no such line is passed over. `uptime` is in seconds. */
export function parseGuestProcesses(text: string, uptime: number): GuestProcess[] {
  return text.split('\n').flatMap((line) => {
    const [head = '', command = ''] = line.split('\0');
    const fields = head.split(' ');
    const numbers = fields.slice(0, NUMBERS).map(Number);
    const [
      pid = 0,
      uid = 0,
      ,
      started = 0,
      user = 0,
      system = 0,
      virtual = 0,
      pages = 0,
      ppid = 0,
      terminal = 0,
    ] = numbers;
    if (numbers.length < NUMBERS || !numbers.every(Number.isSafeInteger)) return [];
    const [state = '', ...name] = fields.slice(NUMBERS);
    return [
      {
        pid,
        ppid,
        uid,
        started: started / TICKS_PER_SECOND,
        used: (user + system) / TICKS_PER_SECOND,
        uptime,
        virtual,
        resident: pages * PAGE,
        terminal,
        state,
        name: name.join(' '),
        command,
      },
    ];
  });
}
